//! YAML as people write it, and as nobody should.

use proptest::prelude::*;

use super::*;

#[test]
fn every_node_knows_its_place_and_on_and_off_are_texts() {
    let mut source = Source::new(Path::new("a.yaml"), "on: statement\nstatus: off\nwhen: persons > 10\n");
    let root = source.parse().expect("well-formed");
    let Shape::Map(pairs) = &root.shape else { panic!("a mapping") };
    assert_eq!(pairs[0].0.name, "on");
    assert!(matches!(&pairs[1].1.shape, Shape::Text(text) if text == "off"));
    assert_eq!(pairs[2].1.place, Place { line: 3, column: 7 });
}

#[test]
fn a_place_inside_a_text_is_right_in_every_style() {
    for (yaml, line, column) in [
        ("when: persons > tabel\n", 1, 17),
        ("when: \"persons > tabel\"\n", 1, 18),
        ("when: 'persons > tabel'\n", 1, 18),
        ("when: >\n  persons\n  > tabel\n", 3, 5),
        ("when: |-\n  persons\n  > tabel\n", 3, 5),
        ("when: persons\n  > tabel\n", 2, 5),
    ] {
        let mut source = Source::new(Path::new("a.yaml"), yaml);
        let root = source.parse().expect("well-formed");
        let Shape::Map(pairs) = &root.shape else { panic!("a mapping") };
        let Shape::Text(text) = &pairs[0].1.shape else { panic!("a text") };
        let offset = text.chars().position(|c| c == 't').expect("a t");
        assert_eq!(source.place_inside(pairs[0].1.place, text, offset), Place { line, column }, "{yaml}");
    }
}

#[test]
fn a_broken_file_is_one_fault_with_a_place() {
    let mut source = Source::new(Path::new("a.yaml"), "a: [1, 2\nb: 3\n");
    assert!(source.parse().is_none());
    assert_eq!(source.faults.len(), 1);
    assert!(source.faults[0].line > 0, "{:?}", source.faults);
    let mut twice = Source::new(Path::new("a.yaml"), "a: 1\na: 2\n");
    assert!(twice.parse().is_none());
    assert!(twice.faults[0].what.contains("dup"), "{:?}", twice.faults);
}

/// The faults of a file, and whether it was read all the same.
fn read(yaml: &str) -> (Option<Node>, Vec<String>) {
    let mut source = Source::new(Path::new("a.yaml"), yaml);
    let root = source.parse();
    (root, source.faults.iter().map(ToString::to_string).collect())
}

#[test]
fn a_file_from_elsewhere_is_read_at_the_same_places() {
    for yaml in ["on: x\r\nwhen: persons > 1\r\n", "\u{feff}on: x\nwhen: persons > 1\n", "# 顧客\nwhen: persons > 1\n"]
    {
        let (root, faults) = read(yaml);
        let Some(Node { shape: Shape::Map(pairs), .. }) = root else { panic!("{faults:?}") };
        let (key, value) = pairs.last().expect("a pair");
        assert_eq!((key.place, value.place), (Place { line: 2, column: 1 }, Place { line: 2, column: 7 }));
        assert!(matches!(&value.shape, Shape::Text(text) if text == "persons > 1"));
    }
    assert!(matches!(read("").0.expect("an empty file").shape, Shape::Null));
    assert!(matches!(read("# nothing\n").0.expect("a comment").shape, Shape::Null));
}

#[test]
fn scalars_are_what_yaml_1_2_says() {
    let (root, _) =
        read("[1, 007, -1, 1.5, 0x1F, true, yes, ~, '1', 18446744073709551615, 18446744073709551616, 2026-06-01]");
    let Some(Node { shape: Shape::List(items), .. }) = root else { panic!("a list") };
    let called: Vec<&str> = items.iter().map(Node::called).collect();
    let text = "a text";
    assert_eq!(called[..1], ["a number"]);
    assert_eq!(called[2..4], [text, text], "a number is whole and not negative");
    assert_eq!(called[5..10], ["true or false", text, "nothing", text, "a number"]);
    assert_eq!(called[10..], [text, text]);
}

#[test]
fn what_is_no_policy_file_is_one_fault_in_words() {
    for hostile in [
        "a: b: c\n".to_owned(),
        "a: 1\n\tb: 2\n".to_owned(),
        "---\na: 1\n---\nb: 2\n".to_owned(),
        "a: *nobody\n".to_owned(),
        "? [a, b]\n: c\n".to_owned(),
        "a: \"unterminated\n".to_owned(),
        "a: {".repeat(10_000),
        "[".repeat(100_000),
        "- ".repeat(10_000),
        format!("{}a", "a: ".repeat(1_000)),
        bomb(),
    ] {
        let (root, faults) = read(&hostile);
        assert!(root.is_none(), "{}", &hostile[..hostile.len().min(60)]);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with("a.yaml:") && faults[0].contains("not well-formed YAML: "), "{faults:?}");
        assert!(!faults[0].contains('\n') && faults[0].len() < 400, "{}", faults[0]);
        assert!(!faults[0].contains(" { ") && !faults[0].contains("from_str"), "{}", faults[0]);
    }
}

/// Aliases of aliases: 10 lines that stand for 10^9 entries.
fn bomb() -> String {
    let mut yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let entries = vec![format!("*a{}", level - 1); 10].join(", ");
        yaml += &format!("a{level}: &a{level} [{entries}]\n");
    }
    yaml
}

proptest! {
    #[test]
    fn any_text_is_read_or_is_a_fault_with_a_place_in_it(yaml in r"(?s)([a-z\[\]{}:,'\x22|>#&*!?%@` \n\t-]|\PC){0,60}") {
        let (root, faults) = read(&yaml);
        prop_assert_eq!(root.is_none(), faults.len() == 1);
    }

    #[test]
    fn a_place_inside_a_text_lies_in_the_file(text in r"(\PC|\n){0,40}", offset in 0_usize..60, line in 0_u32..4, column in 0_u32..50) {
        let yaml = format!("when: >-\n  {}\nwhy: x\n", text.replace('\n', "\n  "));
        let source = Source::new(Path::new("a.yaml"), &yaml);
        let place = source.place_inside(Place { line, column }, &text, offset);
        prop_assert!(place.line as usize <= yaml.lines().count() + 1);
    }
}
