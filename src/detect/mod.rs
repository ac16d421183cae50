//! What names and values look like: e-mail addresses, telephone numbers, My Numbers, payment cards, names of people …
//!
//! In: a column's name, or the text of one value at a time. Out: [`What`] it looks like, counted in a [`Tally`]. PURE. Keeps no
//! value: a tally holds numbers, and hashes under a key that dies with it.

// Digits that check: My Number, payment cards; telephone numbers and postal codes.
mod digits;
// Names of people in kanji and kana.
mod people;
// How many of a column's values look like what.
mod tally;
// One value's text.
mod value;
// Names of columns and tables, in English, Japanese and romaji.
pub mod words;

pub use self::tally::{Share, Tally};
pub use self::value::{Sight, look};

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum What {
    /// `anna@example.com`.
    Email,
    /// International (E.164) or Japanese.
    Telephone,
    /// Where somebody lives.
    Address,
    /// Japanese, `100-0001`.
    PostalCode,
    /// Somebody's name.
    PersonName,
    /// Somebody's name, as it is read.
    Kana,
    /// When somebody was born.
    BirthDate,
    /// Sex, nationality.
    Trait,
    /// Of a machine that somebody uses.
    IpAddress,
    /// Japan's number of a person, 個人番号.
    MyNumber,
    /// Of a credit or debit card.
    PaymentCard,
    /// Of a bank account.
    BankAccount,
    /// Of a passport, a licence, an insurance.
    IdDocument,
    /// Diagnoses, medication, blood group.
    Health,
    /// Religion, ethnicity, criminal record.
    Belief,
    /// A password, or what is kept of one.
    Password,
}

impl What {
    /// Those that a value can be told by, in the order of [`Tally`]'s counts.
    pub const BY_VALUE: [What; 9] = [
        What::Email,
        What::Telephone,
        What::PostalCode,
        What::PersonName,
        What::Kana,
        What::BirthDate,
        What::IpAddress,
        What::MyNumber,
        What::PaymentCard,
    ];

    /// In a sentence: `192 of 200 look like e-mail addresses`.
    pub fn plural(self) -> &'static str {
        match self {
            What::Email => "e-mail addresses",
            What::Telephone => "telephone numbers",
            What::Address => "addresses",
            What::PostalCode => "postal codes",
            What::PersonName => "names of people",
            What::Kana => "names of people in kana",
            What::BirthDate => "dates of birth",
            What::Trait => "what somebody is",
            What::IpAddress => "IP addresses",
            What::MyNumber => "My Numbers",
            What::PaymentCard => "payment cards",
            What::BankAccount => "bank accounts",
            What::IdDocument => "identity documents",
            What::Health => "health",
            What::Belief => "beliefs and origins",
            What::Password => "passwords",
        }
    }

    /// Whether it is more than personal: what no stranger may have, or what the APPI's article 2 (3) calls special care.
    pub fn is_sensitive(self) -> bool {
        matches!(
            self,
            What::MyNumber
                | What::PaymentCard
                | What::BankAccount
                | What::IdDocument
                | What::Health
                | What::Belief
                | What::Password
        )
    }

    /// Whether it says who somebody is, or how to reach them: whoever's table has it directly is a table of people.
    pub fn says_who(self) -> bool {
        matches!(self, What::Email | What::Telephone | What::PersonName | What::Kana | What::BirthDate | What::MyNumber)
    }

    fn index(self) -> Option<usize> {
        What::BY_VALUE.iter().position(|what| *what == self)
    }
}
