//! Dependencies: each is used, and each line says why it takes the features it takes.

use crate::source::{Source, breach};

/// One line of a `[…dependencies]` section of Cargo.toml.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// As Cargo.toml has it.
    pub name: String,
    /// From 1.
    pub line: usize,
    /// The whole line.
    pub text: String,
}

/// The dependencies of every kind. Each stands on a line of its own.
pub fn declared(manifest: &str) -> Vec<Dependency> {
    let mut dependencies = Vec::new();
    let mut inside = false;
    for (index, text) in manifest.lines().enumerate() {
        if text.starts_with('[') {
            inside = text.trim_end_matches(']').ends_with("dependencies");
        } else if let Some((name, _)) = text.split_once('=').filter(|_| inside && !text.starts_with('#')) {
            dependencies.push(Dependency { name: name.trim().to_owned(), line: index + 1, text: text.to_owned() });
        }
    }
    dependencies
}

/// Dependencies that no code names.
pub fn unused(dependencies: &[Dependency], files: &[Source]) -> Vec<String> {
    let is_used = |name: &str| {
        let name = name.replace('-', "_");
        files.iter().any(|file| names(&file.code, &name))
    };
    let unused = dependencies.iter().filter(|dependency| !is_used(&dependency.name));
    unused
        .map(|dependency| {
            let what = format!("`{}` is used nowhere", dependency.name);
            breach("Cargo.toml", dependency.line, what, "remove it: it costs every build")
        })
        .collect()
}

/// Dependencies with features that nobody chose.
pub fn unexplained(dependencies: &[Dependency]) -> Vec<String> {
    let unexplained = dependencies
        .iter()
        .filter(|dependency| !dependency.text.contains("default-features = false") && !dependency.text.contains('#'));
    unexplained
        .map(|dependency| {
            let what = format!("`{}` takes default features without a word", dependency.name);
            let mend = "write `default-features = false` and the features it needs, or a comment why they are right";
            breach("Cargo.toml", dependency.line, what, mend)
        })
        .collect()
}

/// `name::…`, `use name;`.
pub fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        let after = &code[at + name.len()..];
        let is_word = before.is_alphanumeric() || before == '_';
        // `crate::alert::x` is not the crate `alert`; `::alert::x` is.
        let is_segment =
            code[..at].ends_with("::") && !code[..at].trim_end_matches("::").ends_with([' ', '\n', '(', '<']);
        let goes_on = after.starts_with(|next: char| next.is_alphanumeric() || next == '_');
        !is_word && !is_segment && (after.starts_with("::") || code[..at].ends_with("use ") && !goes_on)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "[package]\nname = \"x\"\n[dependencies]\n# why\na-b = { version = \"1\", default-features = false }\n\
                            c = \"1\"\n[dev-dependencies]\nd = \"1\"   # its default is empty\n[lints]\ne = 1\n";

    #[test]
    fn an_unused_dependency_is_found() {
        let dependencies = declared(MANIFEST);
        assert_eq!(dependencies.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(), ["a-b", "c", "d"]);
        let files =
            [Source::new("src/x.rs", "use a_b::X;\n// c::y\nlet s = \"c::z\"; super::c::f(); dc::f(); d::f();")];
        assert_eq!(
            unused(&dependencies, &files),
            ["Cargo.toml:6: `c` is used nowhere; remove it: it costs every build"]
        );
    }

    #[test]
    fn unchosen_features_are_found() {
        let found = unexplained(&declared(MANIFEST));
        assert!(found.len() == 1 && found[0].starts_with("Cargo.toml:6: "), "{found:?}");
    }
}
