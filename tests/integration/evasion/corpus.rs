//! The corpus's files: text → families of cases, each with what is true of its statements. `tests/evasion/README.md` has the form.

use std::ops::RangeInclusive;

use mitsuke::record::Certainty;

/// A file.
#[derive(Debug)]
pub struct Family {
    pub name: String,
    pub cases: Vec<Case>,
}

/// Statements of one session.
#[derive(Debug)]
pub struct Case {
    /// Where it begins.
    pub line: usize,
    pub steps: Vec<Step>,
}

/// One statement, or several in one message.
#[derive(Debug)]
pub struct Step {
    pub line: usize,
    pub text: String,
    pub expected: Option<Expected>,
}

/// What is true of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    pub certainty: Vec<Certainty>,
    pub columns: Vec<String>,
    pub people: u64,
    /// Where it is not exact, too.
    pub no_more: bool,
    pub simple: bool,
    pub error: bool,
    /// The first major version that takes it, and the last.
    pub versions: RangeInclusive<u32>,
}

impl Expected {
    /// Whether nobody's data leaves.
    pub fn is_innocent(&self) -> bool {
        self.certainty.is_empty()
    }

    fn parse(line: &str) -> Expected {
        let fields: Vec<&str> = line.split('|').map(str::trim).collect();
        let has = |word: &str| fields.contains(&word);
        let version = |word: &str, otherwise: u32| {
            let found = fields.iter().find_map(|field| field.strip_prefix(word));
            found.map_or(otherwise, |major| major.parse().expect("a version"))
        };
        let innocent = fields[0] == "innocent";
        let certainty = fields[0].split('/').map(str::trim).filter(|_| !innocent).map(|word| match word {
            "exact" => Certainty::Exact,
            "inferred" => Certainty::Inferred,
            "assumed" => Certainty::Assumed,
            other => panic!("no certainty: {other}"),
        });
        let whole = |column: &str| match column.contains('.') {
            true => column.to_owned(),
            false => format!("shop.customers.{column}"),
        };
        let columns = if innocent { Vec::new() } else { fields[1].split(',').map(str::trim).map(whole).collect() };
        Expected {
            certainty: certainty.collect(),
            columns,
            people: if innocent { 0 } else { fields[2].parse().expect("a number of people") },
            no_more: has("no more"),
            simple: has("simple"),
            error: has("error"),
            versions: version("from ", 0)..=version("until ", u32::MAX),
        }
    }
}

impl Step {
    /// Whether it can be sent so, to a server of this version.
    pub fn runs(&self, extended: bool, major: u32) -> bool {
        self.expected
            .as_ref()
            .is_none_or(|expected| !(extended && expected.simple) && expected.versions.contains(&major))
    }

    /// Its beginning.
    pub fn short(&self) -> String {
        self.text.chars().take(110).collect()
    }
}

impl Family {
    /// Reads a file.
    pub fn parse(name: &str, text: &str) -> Family {
        let mut cases: Vec<Case> = Vec::new();
        let mut expected = None;
        let mut open = false;
        for (index, line) in text.lines().enumerate() {
            if line.is_empty() {
                open = false;
                continue;
            }
            if !open {
                cases.push(Case { line: index + 1, steps: Vec::new() });
                open = true;
            }
            let case = cases.last_mut().expect("one was pushed");
            if let Some(truth) = line.strip_prefix("--> ") {
                expected = Some(Expected::parse(truth));
            } else if line.starts_with(' ') {
                let step = case.steps.last_mut().expect("a line to go on from");
                step.text = format!("{}\n{}", step.text, repeated(line));
            } else if !line.starts_with("-- ") {
                case.steps.push(Step { line: index + 1, text: repeated(line), expected: expected.take() });
            }
        }
        assert!(expected.is_none(), "{name}: the last `-->` has no statement");
        Family { name: name.to_owned(), cases }
    }
}

/// `@REPEAT 3 text@` written out.
fn repeated(line: &str) -> String {
    let Some((before, rest)) = line.split_once("@REPEAT ") else { return line.to_owned() };
    let (inside, after) = rest.split_once('@').expect("an end of @REPEAT");
    let (times, text) = inside.split_once(' ').expect("@REPEAT times text@");
    format!("{before}{}{after}", text.repeat(times.parse().expect("a number of times")))
}
