//! What the documents tell people to write is right: configurations parse, policies load and their cases hold, questions are
//! answered, links lead somewhere.

use std::path::{Path, PathBuf};

use mitsuke::config::Config;
use mitsuke::policy::load_folder;

const DOCUMENTS: [&str; 5] = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/guide.md", "docs/identity.md"];

fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn text(document: &str) -> String {
    std::fs::read_to_string(top().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// The fenced blocks of a language, in every document: where, and what.
fn blocks(language: &str) -> Vec<(&'static str, String)> {
    let opening = format!("```{language}\n");
    let of = |document: &'static str| {
        let text = text(document);
        let blocks: Vec<_> = text
            .split(&opening)
            .skip(1)
            .map(|rest| (document, rest.split("```").next().expect("a part").to_owned()))
            .collect();
        blocks
    };
    DOCUMENTS.into_iter().flat_map(of).collect()
}

#[test]
fn configurations_in_the_documents_parse() {
    let blocks = blocks("toml");
    assert!(blocks.len() >= 2, "{blocks:?}");
    for (document, block) in blocks.iter().filter(|(_, block)| !block.contains("[dependencies]")) {
        let parsed = Config::parse(Some((Path::new(document), block)), []);
        parsed.unwrap_or_else(|faults| panic!("{document}: {faults}\n{block}"));
    }
}

/// A block of YAML begins with the name of the file that it is.
#[test]
fn policies_in_the_documents_load_and_their_cases_hold() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let blocks = blocks("yaml");
    for (document, block) in &blocks {
        let name = block.lines().next().and_then(|line| line.strip_prefix("# policies/"));
        let path = folder.path().join(name.unwrap_or_else(|| panic!("{document}: no file is named in\n{block}")));
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("it can be made");
        assert!(!path.exists(), "{document}: {} is there twice", path.display());
        std::fs::write(path, block).expect("it can be written");
    }
    std::fs::copy(top().join("policies/lists.yaml"), folder.path().join("lists.yaml")).expect("the lists");
    let set = load_folder(folder.path()).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(set.without_cases, Vec::new());
    assert!(!set.policies.is_empty() && set.permits.len() == 1);
    for file in &set.cases {
        let policy = set.policy(&file.policy).expect("cases belong to a policy");
        for case in &file.cases {
            let verdict = case.run(policy);
            assert!(verdict.holds, "{}: {}: expected {}, got {}", policy.id, case.name, verdict.expected, verdict.got);
        }
    }
    let config = mitsuke::policy::Config { path: Some(folder.path().to_path_buf()), ..Default::default() };
    mitsuke::app::classification(&config).unwrap_or_else(|faults| panic!("{faults}"));
}

/// What a command of ours prints.
#[cfg(feature = "query")]
fn said_by(arguments: &str) -> String {
    let mut command = crate::support::sidecar::mitsuke();
    command.args(arguments.split_whitespace());
    crate::support::programs::run(command, b"").expect_success()
}

#[cfg(feature = "query")]
#[test]
fn questions_in_the_documents_are_answered() {
    use crate::support::programs;
    use crate::support::sidecar::{Sidecar, mitsuke};

    let mut sidecar = Sidecar::start("");
    sidecar.stop();
    let mut asked = 0;
    for (document, block) in blocks("sh") {
        for rest in block.lines().filter_map(|line| line.strip_prefix("mitsuke query \"")) {
            let (sql, options) = rest.rsplit_once('"').expect("a closing quote");
            let mut command = mitsuke();
            let sql = match sql.strip_prefix("$(mitsuke ").and_then(|sql| sql.strip_suffix(')')) {
                Some(said) => said_by(said),
                None => sql.to_owned(),
            };
            command.args(["query", &sql]).args(options.split_whitespace()).arg("--log").arg(sidecar.log());
            // Where what they write may lie.
            command.current_dir(sidecar.config().parent().expect("a folder"));
            let ran = programs::run(command, b"");
            assert!(ran.output.status.success(), "{document}: {sql}: {}", ran.err());
            asked += 1;
        }
    }
    assert!(asked > 8, "{asked}");
}

#[test]
fn links_lead_to_files_that_are_there() {
    for document in DOCUMENTS {
        let folder = top().join(document).parent().expect("a folder").to_path_buf();
        let text = text(document);
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().expect("a part")) {
            let path = link.split('#').next().expect("a part");
            let is_elsewhere = link.contains("://") || path.is_empty();
            assert!(is_elsewhere || folder.join(path).exists(), "{document}: {link}");
        }
    }
}
