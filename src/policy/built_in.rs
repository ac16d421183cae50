//! The policies in the binary: every file under `policies/` that this room reads. `tests/policies.rs` checks that none
//! is missing here.

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        /// Names, from `policies/` on, and texts.
        pub const FILES: &[(&str, &str)] =
            &[$((concat!("policies/", $path), include_str!(concat!("../../policies/", $path)))),+];
    };
}

files!(
    "lists.yaml",
    "permits.yaml",
    "access/first-table-read.yaml",
    "access/first-table-read.cases.yaml",
    "bulk/bulk-personal-read.yaml",
    "bulk/bulk-personal-read.cases.yaml",
    "bulk/copy-of-classified-data.yaml",
    "bulk/copy-of-classified-data.cases.yaml",
    "bulk/many-people-by-end-user.yaml",
    "bulk/many-people-by-end-user.cases.yaml",
    "bulk/many-people-in-a-day.yaml",
    "bulk/many-people-in-a-day.cases.yaml",
    "hours/after-hours-personal-read.yaml",
    "hours/after-hours-personal-read.cases.yaml",
    "login/login-failure-burst.yaml",
    "login/login-failure-burst.cases.yaml",
);
