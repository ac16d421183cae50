//! What no file may say; and that every policy is in the binary.

use crate::source::{Source, breach};

/// Folders of one machine. In two halves, so that this file does not say them.
const MACHINE: [(&str, &str); 4] = [("/wo", "rk/"), ("/ro", "ot/"), ("/tmp/br", "ief"), ("/Us", "ers/")];
/// Package registries' hosts.
const REGISTRIES: [(&str, &str); 5] =
    [("crates", ".io"), ("pypi", ".org"), ("npmjs", ".com"), ("debian", ".org"), ("docs", ".rs/")];
/// Files that tools write, in any folder.
const EXEMPT: [&str; 1] = ["Cargo.lock"];

/// Paths of a machine, and hosts that a build should not depend on by name.
pub fn forbidden(file: &Source) -> Vec<String> {
    if EXEMPT.iter().any(|name| file.path.rsplit('/').next() == Some(name)) {
        return Vec::new();
    }
    let mut breaches = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for (word, mend) in
            MACHINE.iter().map(|word| (word, "name it from the repository's top, or take it as an argument")).chain(
                REGISTRIES.iter().map(|word| (word, "name the package; where it comes from is the machine's business")),
            )
        {
            let word = format!("{}{}", word.0, word.1);
            if line.contains(&word) {
                breaches.push(breach(&file.path, index + 1, format!("names `{word}`"), mend));
            }
        }
    }
    breaches
}

/// Files of `policies/` that no source includes.
pub fn not_embedded(files: &[Source]) -> Vec<String> {
    let policies = files.iter().filter(|file| file.path.starts_with("policies/") && file.path.ends_with(".yaml"));
    let sources: Vec<&Source> = files.iter().filter(|file| file.path.starts_with("src/")).collect();
    // By its path, or in the list of `policy::built_in`, which begins below `policies/`.
    let names = |source: &Source, policy: &Source| {
        let listed = format!("\"{}\"", policy.path.trim_start_matches("policies/"));
        source.text.contains(&policy.path) || source.text.contains(&listed)
    };
    policies
        .filter(|policy| !sources.iter().any(|source| names(source, policy)))
        .map(|policy| {
            breach(
                &policy.path,
                1,
                "is not built into the binary",
                "add it to the list of built-in files in src/policy",
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_a_machine_and_a_registry_are_found() {
        let text =
            format!("fine\ncd {}{}x\nfetch {}{}\n", MACHINE[0].0, MACHINE[0].1, REGISTRIES[0].0, REGISTRIES[0].1);
        let found = forbidden(&Source::new("README.md", &text));
        assert!(
            found.len() == 2 && found[0].starts_with("README.md:2: ") && found[1].starts_with("README.md:3: "),
            "{found:?}"
        );
        assert!(forbidden(&Source::new("Cargo.lock", &text)).is_empty());
    }

    #[test]
    fn a_policy_outside_of_the_binary_is_found() {
        let source = Source::new("src/policy/x.rs", "include_str!(\"../../policies/a/b.yaml\")");
        let files = [source, Source::new("policies/a/b.yaml", ""), Source::new("policies/a/c.yaml", "")];
        let found = not_embedded(&files);
        assert!(found.len() == 1 && found[0].starts_with("policies/a/c.yaml:1: "), "{found:?}");
    }
}
