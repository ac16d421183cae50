//! Names of columns and tables, in English, Japanese and romaji.
//!
//! In: a name, and the words that are known. Out: what a column of this name holds. A name is cut into words (`eMailAddress2`: e, mail, address,
//! 2); one of the sequences below has to stand in it, and what follows may only say which one it is: `email_work` is an e-mail
//! address, `email_sent_at` a time, `mailbox_id` a number.

use super::What;

/// Sequences of words, the more telling first.
const SEQUENCES: &[(What, &str)] = &[
    (What::IpAddress, "ip address|ip addr|ipaddress|ipaddr|ip|ipv 4|ipv 6|remote addr|remote address"),
    (
        What::Email,
        "email address|email addr|email|e mail address|e mail|mail address|mail addr|mailaddress|mailaddr|mailadress|mail|meruado|emailaddress",
    ),
    (
        What::Telephone,
        "telephone|phonenumber|phone|cellphone|cell phone|mobile phone|mobilephone|mobile|msisdn|tel|telno|denwabangou|denwabango|denwa|keitai|fax",
    ),
    (
        What::PostalCode,
        "postal code|post code|postalcode|postcode|zip code|zipcode|zip|yubinbangou|yubinbango|yuubinbangou|yuubin|yubin",
    ),
    (
        What::Kana,
        "name kana|kana name|furigana|hurigana|yomigana|name yomi|shimei kana|simei kana|namae kana|sei kana|mei kana|kana shimei|kana sei|kana mei",
    ),
    (
        What::PersonName,
        "first name|last name|full name|family name|given name|middle name|maiden name|real name|legal name|firstname|lastname|fullname|\
         surname|forename|realname|nickname|shimei|simei|namae|onamae|myoji|myouji|sei kanji|mei kanji",
    ),
    (
        What::BirthDate,
        "date of birth|birth date|birth day|birthdate|birthday|birth year|year of birth|birth|born on|born|dob|seinengappi|tanjoubi|tanjobi",
    ),
    (What::Trait, "gender|sex|seibetsu|seibetu|nationality|kokuseki|marital status"),
    (
        What::MyNumber,
        "my number|mynumber|individual number|kojin bangou|kojin bango|kojinbangou|kojinbango|mai nanba|mainanba",
    ),
    (
        What::PaymentCard,
        "card number|cardnumber|card no|card num|credit card|creditcard|cc number|cc num|cc no|pan number|kado bangou|kado bango|kaado bangou",
    ),
    (
        What::BankAccount,
        "bank account number|bank account|account number|account no|iban|koza bangou|koza bango|kouza bangou|kouza bango|kozabangou|kozabango|kouzabangou",
    ),
    (
        What::IdDocument,
        "passport|ssn|social security|national id|driver license|drivers license|driver licence|driving licence|driving license|license number|\
         menkyosho|menkyo|insurance number|hokensho|hihokensha bangou|nenkin bangou|residence card|zairyu card|tax id number",
    ),
    (
        What::Health,
        "diagnosis|diagnoses|disease|blood type|blood group|allergy|allergies|medication|prescription|medical history|disability|\
         shindan|byoumei|byomei|byoreki|byoureki|ketsueki gata|ketsuekigata",
    ),
    (What::Belief, "religion|ethnicity|ethnic group|criminal record|shukyo|shuukyou|jinshu|zenka"),
    (What::Password, "password|passwd|passwort|pass phrase|passphrase|pin code|anshou bangou|ansho bango"),
    (
        What::Address,
        "home address|street address|street|postal address|billing address|shipping address|delivery address|address|addr|juusho|jusho|juusyo|jyusho|jyuusho|kyosho",
    ),
];

/// What may follow and says only which one it is, or in which form.
const WHICH: &str = " 0 1 2 3 4 5 6 7 8 9 number no num bango bangou address addr line kana kanji romaji roman latin en ja jp old new prev \
     previous primary secondary main sub alt alternative home house work office private mobile personal business emergency raw text txt str value \
     norm normalized lower ci canonical backup current original orig enc encrypted full local code hash digest day month year name ";

/// What stands before and makes it another thing: a machine's address, a file's name.
const ANOTHER: &str = " mac web url http server host wallet bus memory contract file page site bot default support from reply sender smtp system net \
     network loopback listen bind service noreply ";

/// Tables of people, by the last word that is not in [`KINDS_OF_TABLE`].
const PEOPLE: &str = " customer user member person people patient employee staff guest contact client subscriber student teacher passenger recipient buyer \
     attendee participant applicant candidate resident citizen visitor donor author player doctor nurse driver consumer shopper reader \
     kokyaku kaiin shain kanja juugyouin jugyoin riyousha riyosha gakusei seito shokuin okyakusama kokyakus addressee beneficiary signatory ";

/// Tables of places and organisations: their addresses and telephone numbers are nobody's.
const PLACES: &str = " venue place store shop warehouse branch company supplier vendor hotel facility building station school airport city prefecture region \
     country location site organization organisation office department depot hospital bank tenpo kaisha shiten kaijo kaijou machine server device \
     host manufacturer brand carrier publisher ";

/// What is said of a table besides whom or what it is about.
const KINDS_OF_TABLE: &str = " profile info detail master mst data tbl table list history archive backup old copy import export tmp temp account record log entry v view ";

/// Words in a comment that tell; the words of [`JAPANESE`] do, too.
const IN_COMMENTS: &[(What, &str)] = &[
    (What::Email, "e-mail address|email address|mail address"),
    (What::Telephone, "telephone number|phone number|fax number"),
    (What::BirthDate, "date of birth|birth date|birthday"),
    (What::Address, "home address|postal address|street address"),
    (What::PersonName, "full name|first name|last name|family name|person's name|customer's name"),
    (What::MyNumber, "my number|individual number"),
    (What::PaymentCard, "card number"),
    (What::BankAccount, "bank account number|account number"),
    (What::IdDocument, "passport number|social security number|driving licence number|driver's license"),
];

/// What a name in Japanese holds one of. Those at the beginning are held first.
const JAPANESE: &[(What, &str)] = &[
    (What::BirthDate, "生年月日|誕生日|生まれた日"),
    (What::PostalCode, "郵便番号|〒"),
    (What::MyNumber, "個人番号|マイナンバー"),
    (What::PaymentCard, "カード番号|クレジットカード番号"),
    (What::BankAccount, "口座番号"),
    (What::IdDocument, "免許証|免許番号|旅券|パスポート|保険証|被保険者番号|年金番号|在留カード"),
    (What::IpAddress, "IPアドレス|ＩＰアドレス"),
    (What::Email, "メールアドレス|メアド|電子メール|Eメール|Ｅメール|メール"),
    (What::Telephone, "電話番号|電話|携帯|ファックス|ＦＡＸ|ＴＥＬ"),
    (What::Kana, "フリガナ|ふりがな|よみがな|ヨミガナ|読み仮名|氏名カナ|カナ氏名|氏名（カナ）|名カナ|姓カナ"),
    (What::PersonName, "氏名|姓名|お名前|苗字|名字"),
    (What::Address, "住所|居所|番地"),
    (What::Trait, "性別|国籍"),
    (What::Health, "病名|病歴|診断|血液型|アレルギー|処方"),
    (What::Belief, "宗教|信条|人種|民族|犯罪歴|前科"),
    (What::Password, "パスワード|暗証番号"),
];

/// What a name in Japanese ends in that is no such thing, but something about it.
const ABOUT: [&str; 18] = [
    "日時",
    "件数",
    "回数",
    "件",
    "フラグ",
    "区分",
    "種別",
    "ID",
    "ＩＤ",
    "有無",
    "状態",
    "ステータス",
    "可否",
    "許可",
    "日付",
    "配信",
    "設定",
    "テンプレート",
];

/// What a column of this name in such a table holds.
pub fn of_column(table: &str, column: &str) -> Option<What> {
    if !column.is_ascii() {
        return of_japanese(column, table);
    }
    let words = words(column);
    let found = SEQUENCES.iter().find_map(|(what, sequences)| {
        let is_there = sequences.split('|').any(|sequence| stands_in(&words, sequence));
        is_there.then_some(*what)
    });
    let of_places = is_of_places(table);
    match found {
        Some(What::Address | What::Telephone | What::PostalCode | What::IpAddress) if of_places => None,
        Some(what) => Some(what),
        None => name_of_somebody(&words, table).filter(|_| !of_places),
    }
}

/// What a comment says that its column holds.
pub fn of_comment(comment: &str) -> Option<What> {
    let lower = comment.to_lowercase();
    let holds = |text: &str, words: &str| words.split('|').any(|word| text.contains(word));
    let in_english = || IN_COMMENTS.iter().find(|(_, words)| holds(&lower, words)).map(|(what, _)| *what);
    of_japanese(comment.trim(), "").or_else(in_english)
}

/// Whether a table is about people.
pub fn is_of_people(table: &str) -> bool {
    if !table.is_ascii() {
        let people =
            ["顧客", "会員", "社員", "従業員", "患者", "利用者", "学生", "生徒", "職員", "個人", "住民", "ユーザ"];
        return people.iter().any(|word| table.contains(word));
    }
    last_noun(table).is_some_and(|word| is_among(PEOPLE, &word))
}

/// The word that a key to this table begins with: `customer` for `shop_customers`.
pub fn one_of(table: &str) -> Option<String> {
    last_noun(table)
}

/// Whether a column of this type can hold it at all. `category`: `pg_type.typcategory`.
pub fn fits(what: What, type_name: &str, category: char) -> bool {
    let is_text = matches!(category, 'S' | 'U' | 'A' | 'X');
    let is_long_number = matches!(type_name, "int8" | "numeric");
    match what {
        What::BirthDate => {
            is_text || matches!(type_name, "date" | "timestamp" | "timestamptz" | "int4" | "int2" | "int8" | "numeric")
        }
        What::Telephone | What::MyNumber | What::PaymentCard | What::BankAccount => is_text || is_long_number,
        What::PostalCode => is_text || is_long_number || type_name == "int4",
        What::IpAddress => is_text || type_name == "inet",
        What::Trait => is_text || matches!(category, 'E') || matches!(type_name, "int2" | "int4"),
        What::Health | What::Belief => is_text || category == 'E',
        What::Email | What::Address | What::PersonName | What::Kana | What::IdDocument | What::Password => is_text,
    }
}

/// The words of a name, lower-case, plural or not as they are written.
pub fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    let mut letters = name.chars().peekable();
    while let Some(c) = letters.next() {
        let next_is_lower = letters.peek().is_some_and(char::is_ascii_lowercase);
        let begins = match c {
            c if !c.is_ascii_alphanumeric() => {
                before = ' ';
                continue;
            }
            _ if !before.is_ascii_alphanumeric() => true,
            c if c.is_ascii_digit() != before.is_ascii_digit() => true,
            c if c.is_ascii_uppercase() => {
                before.is_ascii_lowercase() || (before.is_ascii_uppercase() && next_is_lower)
            }
            _ => false,
        };
        if begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    words
}

fn stands_in(words: &[String], sequence: &str) -> bool {
    let wanted: Vec<&str> = sequence.split(' ').collect();
    let mut starts = (0..words.len()).filter(|start| {
        let there = words.get(*start..).unwrap_or_default();
        there.len() >= wanted.len()
            && there.iter().zip(&wanted).all(|(word, wanted)| word == wanted || singular(word) == *wanted)
    });
    starts.any(|start| {
        let before = words.get(..start).unwrap_or_default();
        let after = words.get(start + wanted.len()..).unwrap_or_default();
        !before.last().is_some_and(|word| is_among(ANOTHER, word)) && after.iter().all(|word| is_among(WHICH, word))
    })
}

/// `name` in a table of people, and a person's in any.
fn name_of_somebody(words: &[String], table: &str) -> Option<What> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["name" | "names" | "namae" | "sei" | "mei"] => is_of_people(table).then_some(What::PersonName),
        ["kana" | "yomi"] => is_of_people(table).then_some(What::Kana),
        [.., person, "name"] if is_among(PEOPLE, person) && !matches!(person, "user" | "client") => {
            Some(What::PersonName)
        }
        _ => None,
    }
}

fn of_japanese(name: &str, table: &str) -> Option<What> {
    if matches!(name, "姓" | "名" | "名前") {
        return (name == "姓" || is_of_people(table)).then_some(What::PersonName);
    }
    let (what, _) = JAPANESE.iter().find(|(_, words)| words.split('|').any(|word| name.contains(word)))?;
    let is_about = ABOUT.iter().any(|ending| name.ends_with(ending));
    (!is_about).then_some(*what)
}

/// Whether a table is about places and organisations.
pub fn is_of_places(table: &str) -> bool {
    last_noun(table).is_some_and(|word| is_among(PLACES, &word))
}

fn last_noun(table: &str) -> Option<String> {
    let words = words(table);
    let nouns = words.iter().rev().map(|word| singular(word));
    nouns
        .filter(|word| !word.chars().all(|c| c.is_ascii_digit()))
        .find(|word| !is_among(KINDS_OF_TABLE, word))
        .map(str::to_owned)
}

/// Enough of English: `customers`, `companies`, `addresses`; `address` and `staff` stay.
fn singular(word: &str) -> &str {
    match word {
        "companies" => "company",
        "cities" => "city",
        "countries" => "country",
        "facilities" => "facility",
        "addresses" => "address",
        "branches" => "branch",
        "beneficiaries" => "beneficiary",
        "persons" => "person",
        word if word.ends_with("ss") || word.ends_with("is") || word.len() < 4 => word,
        word => word.strip_suffix('s').unwrap_or(word),
    }
}

fn is_among(words: &str, word: &str) -> bool {
    words.split(' ').any(|known| !known.is_empty() && known == singular(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_into_words() {
        for (name, expected) in [
            ("eMailAddress2", "e mail address 2"),
            ("EMAIL_ADDRESS", "email address"),
            ("IPAddress", "ip address"),
            ("customer-id", "customer id"),
            ("t_m_kokyaku", "t m kokyaku"),
            ("", ""),
        ] {
            assert_eq!(words(name).join(" "), expected, "{name}");
        }
    }

    #[test]
    fn what_is_personal_is_told_in_three_languages() {
        for (what, names) in [
            (
                What::Email,
                "email Email eMail e_mail email_address contactEmail mail mail_address mailaddress work_email email2 メールアドレス 連絡先メール emails",
            ),
            (
                What::Telephone,
                "tel phone phone_number phoneNumber home_tel tel1 denwa denwa_bangou keitai keitai_denwa fax mobile_phone 電話番号 携帯番号 telno",
            ),
            (
                What::Address,
                "address address1 addressLine2 home_address juusho jusho jyusho street shipping_address 住所 現住所 user_address",
            ),
            (What::PostalCode, "zip zip_code zipcode postal_code yubin_bangou yuubinbangou 郵便番号"),
            (
                What::PersonName,
                "first_name lastName full_name shimei simei 氏名 お名前 customer_name surname recipientName 姓",
            ),
            (What::Kana, "name_kana furigana shimei_kana フリガナ 氏名カナ"),
            (What::BirthDate, "birth_date dob dateOfBirth birthday seinengappi 生年月日 tanjoubi"),
            (What::MyNumber, "my_number mynumber myNumber kojin_bangou kojinbango 個人番号 マイナンバー"),
            (What::PaymentCard, "card_number cardNo credit_card creditCardNumber カード番号"),
            (What::BankAccount, "iban bank_account account_number kouza_bangou 口座番号"),
            (What::IdDocument, "passport passport_number ssn menkyo national_id driversLicense 免許証番号"),
            (What::Health, "diagnosis blood_type byoumei allergies 血液型"),
            (What::IpAddress, "ip ip_address client_ip ipAddress remote_addr"),
            (What::Trait, "gender sex seibetsu 性別"),
            (What::Password, "password password_hash passwd encrypted_password 暗証番号"),
        ] {
            for name in names.split(' ') {
                assert_eq!(of_column("t", name), Some(what), "{name}");
            }
        }
        for table in
            ["customers", "shop_customers", "t_kaiin", "CustomerProfile", "users_2025", "会員マスタ", "m_shain_mst"]
        {
            assert_eq!(of_column(table, "name"), Some(What::PersonName), "{table}");
        }
    }

    #[test]
    fn innocents_are_not() {
        for name in "email_sent_at email_verified email_count emails_sent email_template_id telemetry mailbox_id filename hostname file_name host_name \
             phone_verified has_phone_at tel_id hotel total stellar mail_status mailing_list_id address_id street_id zip_file zip_size birthplace_id \
             card_type card_id card_last4 card_number_length account_id bank_account_id passport_required password_changed_at reset_password_token_at \
             ip_count mac_address server_address ip_version shipping_address_id name username title name_template sexagesimal personal_id mobile_os_version \
             credit_card_expired_at gender_required email_opt_in emailed born_again_flag kanazawa tokyo mynumber_submitted メール送信日時 電話回数 住所区分 メール配信 \
             氏名変更フラグ note description status sei mei kana"
            .split_whitespace()
        {
            assert_eq!(of_column("t", name), None, "{name}");
        }
        for (table, column) in [
            ("venues", "address"),
            ("stores", "phone"),
            ("companies", "name"),
            ("customer_orders", "name"),
            ("products", "name"),
        ] {
            assert_eq!(of_column(table, column), None, "{table}.{column}");
        }
        assert_eq!(of_column("suppliers", "contact_name"), None);
        assert_eq!(of_column("suppliers", "contact_email"), Some(What::Email));
    }

    #[test]
    fn types_narrow_what_a_name_says() {
        assert!(
            !fits(What::Email, "bool", 'B')
                && !fits(What::Telephone, "timestamptz", 'D')
                && !fits(What::MyNumber, "int4", 'N')
        );
        assert!(
            fits(What::BirthDate, "date", 'D')
                && fits(What::IpAddress, "inet", 'I')
                && fits(What::Telephone, "int8", 'N')
        );
    }

    #[test]
    fn comments_tell() {
        assert_eq!(of_comment("The customer's e-mail address"), Some(What::Email));
        assert_eq!(of_comment("顧客の氏名"), Some(What::PersonName));
        assert_eq!(of_comment("Customers who joined the loyalty programme"), None);
        assert_eq!(of_comment("The payment provider's token; the number itself is never here"), None);
    }
}
