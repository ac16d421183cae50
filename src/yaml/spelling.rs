//! The nearest known name to one that is not known, for the sentence that mends a fault.

/// Names longer than this are not compared, characters.
const NAME_CHARS_MAX: usize = 64;

/// "did you mean `x`?", or the empty text where nothing is near.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |near| format!("did you mean `{near}`?"))
}

/// The known name that takes the fewest changed characters, if that is less than half of them.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    if name.chars().count() > NAME_CHARS_MAX {
        return None;
    }
    known
        .into_iter()
        .map(|candidate| (distance(&name, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| distance * 2 <= candidate.chars().count().max(3))
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance, a transposition counted as one.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut left_last = None;
    for (row, l) in left.chars().enumerate() {
        let mut next = vec![row + 1];
        for (column, r) in right.iter().enumerate() {
            let mut cost = (last[column] + usize::from(l != *r)).min(last[column + 1] + 1).min(next[column] + 1);
            let swapped = column > 0 && left_last == Some(*r) && right.get(column - 1) == Some(&l);
            if swapped && let Some(diagonal) = before.get(column - 1) {
                cost = cost.min(diagonal + 1);
            }
            next.push(cost);
        }
        before = std::mem::replace(&mut last, next);
        left_last = Some(l);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_another_word_is_not() {
        let known = ["persons", "personal_rows", "db_user"];
        assert_eq!(nearest("person", known), Some("persons"));
        assert_eq!(nearest("preson", known), Some("persons"));
        assert_eq!(nearest("DB_USR", known), Some("db_user"));
        assert_eq!(nearest("wombat", known), None);
        assert_eq!(did_you_mean("wombat", known), "");
    }
}
