//! The package of the fuzz targets is built from some of the rooms' files, and by no test: what those files name has to be there.
//!
//! In: the rooms that it has, its dependencies, the library's, and all files. Out: every room and every dependency that it lacks.

use std::collections::BTreeSet;

use crate::dependencies::{Dependency, names};
use crate::paths::paths;
use crate::rooms::{Room, module, room_of};
use crate::source::{Source, breach};

const ROOMS: &str = "tests/fuzz/rooms.rs";
const MANIFEST: &str = "tests/fuzz/Cargo.toml";

/// See the module. `has`: what of the library's rooms the package has.
pub fn lacking(has: &[Room], own: &[Dependency], library: &[Dependency], files: &[Source]) -> Vec<String> {
    let is_had = |name: &str| has.iter().any(|room| room.name == name);
    let mut breaches = BTreeSet::new();
    for file in files {
        let Some(module) = module(&file.path).filter(|module| is_had(&module[0])) else { continue };
        let code = file.code_without_tests();
        for path in paths(code) {
            if let Some(used) = room_of(&path, module.len()).filter(|used| !is_had(used)) {
                let what = format!("lacks `{used}`, which `{}` uses", file.path);
                breaches.insert(breach(ROOMS, 1, what, "declare it as its neighbours are"));
            }
        }
        for dependency in library.iter().filter(|dependency| names(code, &dependency.name.replace('-', "_"))) {
            if !own.iter().any(|known| known.name == dependency.name) {
                let what = format!("lacks `{}`, which `{}` names", dependency.name, file.path);
                breaches.insert(breach(MANIFEST, 1, what, "add it as the library's Cargo.toml has it"));
            }
        }
    }
    breaches.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependencies::declared;

    #[test]
    fn what_the_targets_lack_is_found() {
        let library = declared("[dependencies]\na-b = \"1\"\nc = \"1\"\n");
        let own = declared("[dependencies]\na-b = \"1\"\n");
        let has = [Room { name: "wire".to_owned(), pure: true, but_for: None }];
        let in_wire = |text: &str| lacking(&has, &own, &library, &[Source::new("src/wire/x.rs", text)]);
        assert!(in_wire("use a_b::X; use crate::wire::y;\n#[cfg(test)]\nmod tests { use c::X; }").is_empty());
        assert!(in_wire("use c::X;")[0].starts_with("tests/fuzz/Cargo.toml:1: lacks `c`, which `src/wire/x.rs` names"));
        assert!(in_wire("use crate::detect::X;")[0].starts_with("tests/fuzz/rooms.rs:1: lacks `detect`"));
        assert!(lacking(&has, &own, &library, &[Source::new("src/detect.rs", "use c::X;")]).is_empty());
    }
}
