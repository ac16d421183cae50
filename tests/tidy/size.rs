//! How long files and functions may be.

use crate::source::{Source, breach};

const FILE_LINES_MAX: usize = 600;
const FILE_LINES_AIM: usize = 400;
/// Of ten files, so many keep to the aim.
const KEEP_TO_AIM_OF_TEN: usize = 9;
/// Lines with code in them, from the opening brace to the closing one.
const FUNCTION_LINES_MAX: usize = 70;

/// Files beyond the maximum; and all beyond the aim, where they are more than one in ten.
pub fn long_files(files: &[Source]) -> Vec<String> {
    let lines = |file: &Source| file.text.lines().count();
    let told = |limit: usize| {
        let long = files.iter().filter(move |file| lines(file) > limit);
        long.map(move |file| {
            let what = format!("{} lines, more than {limit}", lines(file));
            breach(&file.path, limit + 1, what, "split it by concept, a file each")
        })
    };
    let beyond_aim = told(FILE_LINES_AIM).count();
    if beyond_aim * 10 > files.len() * (10 - KEEP_TO_AIM_OF_TEN) {
        return told(FILE_LINES_AIM).collect();
    }
    told(FILE_LINES_MAX).collect()
}

/// Functions beyond the maximum.
pub fn long_functions(file: &Source) -> Vec<String> {
    let mut breaches = Vec::new();
    for (at, _) in file.code.match_indices("fn ") {
        let starts_word = !file.code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let Some(body) = starts_word.then(|| body(&file.code[at..])).flatten() else { continue };
        let lines = body.lines().filter(|line| !line.trim().is_empty()).count();
        if lines > FUNCTION_LINES_MAX {
            let name = file.code[at + 3..].split(['(', '<', ' ']).next().unwrap_or_default();
            let what = format!("`{name}` has {lines} lines, more than {FUNCTION_LINES_MAX}");
            let line = file.code[..at].matches('\n').count() + 1;
            breaches.push(breach(&file.path, line, what, "give its steps names of their own"));
        }
    }
    breaches
}

/// From the first brace to the one that closes it; none for a function without a body, or a type `fn (…)`.
fn body(code: &str) -> Option<&str> {
    let start = code.find(['{', ';'])?;
    let mut depth = 0;
    for (at, c) in code[start..].char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return (at > 0).then(|| &code[start..=start + at]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_function_is_found() {
        let of = |lines: usize| format!("//! X.\nfn f(x: &str) {{\n{}}}\n", "    g(\"}\"); // {\n".repeat(lines));
        assert!(long_functions(&Source::new("x.rs", &of(FUNCTION_LINES_MAX - 2))).is_empty());
        let found = long_functions(&Source::new("x.rs", &of(FUNCTION_LINES_MAX - 1)));
        assert!(found.len() == 1 && found[0].starts_with("x.rs:2: `f` has 71 lines"), "{found:?}");
    }

    #[test]
    fn a_long_file_is_found_and_too_many_rather_long_ones() {
        let file = |lines: usize| Source::new("x.rs", &"x\n".repeat(lines));
        let mut files = vec![file(10); 19];
        files.push(file(FILE_LINES_MAX + 1));
        assert_eq!(long_files(&files).len(), 1);
        files.pop();
        files.push(file(FILE_LINES_MAX));
        assert!(long_files(&files).is_empty());
        files.extend([file(FILE_LINES_AIM + 1), file(FILE_LINES_AIM + 1)]);
        assert_eq!(long_files(&files).len(), 3);
    }
}
