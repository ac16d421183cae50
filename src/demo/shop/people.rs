//! Made-up people: names, addresses that lead nowhere, numbers that nobody has.
//!
//! In: a [`Dice`]. Out: a [`Person`]. Deterministic. Mail goes to reserved domains only (RFC 2606, and example.jp of the
//! Japanese registry), telephone numbers are of the ranges kept for fiction, individual numbers carry a wrong check digit.

use super::dice::Dice;

/// One row of `shop.customers`, but for its id.
pub struct Person {
    pub name: String,
    pub kana: Option<String>,
    pub email: String,
    pub phone: String,
    pub address: String,
    /// `YYYY-MM-DD`.
    pub birth_date: String,
    pub my_number: Option<String>,
}

/// Of a hundred customers, so many have Japanese names.
const JAPANESE_PERCENT: u64 = 80;
/// Of a hundred Japanese customers, so many won a taxed prize.
const MY_NUMBER_PERCENT: u64 = 2;

/// (written, kana, romaji)
type Name = (&'static str, &'static str, &'static str);

const SURNAMES: [Name; 32] = [
    ("佐藤", "サトウ", "sato"),
    ("鈴木", "スズキ", "suzuki"),
    ("高橋", "タカハシ", "takahashi"),
    ("田中", "タナカ", "tanaka"),
    ("伊藤", "イトウ", "ito"),
    ("渡辺", "ワタナベ", "watanabe"),
    ("山本", "ヤマモト", "yamamoto"),
    ("中村", "ナカムラ", "nakamura"),
    ("小林", "コバヤシ", "kobayashi"),
    ("加藤", "カトウ", "kato"),
    ("吉田", "ヨシダ", "yoshida"),
    ("山田", "ヤマダ", "yamada"),
    ("佐々木", "ササキ", "sasaki"),
    ("松本", "マツモト", "matsumoto"),
    ("井上", "イノウエ", "inoue"),
    ("木村", "キムラ", "kimura"),
    ("林", "ハヤシ", "hayashi"),
    ("清水", "シミズ", "shimizu"),
    ("山崎", "ヤマザキ", "yamazaki"),
    ("森", "モリ", "mori"),
    ("池田", "イケダ", "ikeda"),
    ("橋本", "ハシモト", "hashimoto"),
    ("石川", "イシカワ", "ishikawa"),
    ("前田", "マエダ", "maeda"),
    ("藤田", "フジタ", "fujita"),
    ("後藤", "ゴトウ", "goto"),
    ("岡田", "オカダ", "okada"),
    ("長谷川", "ハセガワ", "hasegawa"),
    ("村上", "ムラカミ", "murakami"),
    ("近藤", "コンドウ", "kondo"),
    ("坂本", "サカモト", "sakamoto"),
    ("遠藤", "エンドウ", "endo"),
];

const GIVEN_NAMES: [Name; 32] = [
    ("太郎", "タロウ", "taro"),
    ("花子", "ハナコ", "hanako"),
    ("陽菜", "ヒナ", "hina"),
    ("蓮", "レン", "ren"),
    ("結衣", "ユイ", "yui"),
    ("大翔", "ヒロト", "hiroto"),
    ("さくら", "サクラ", "sakura"),
    ("悠真", "ユウマ", "yuma"),
    ("美咲", "ミサキ", "misaki"),
    ("健太", "ケンタ", "kenta"),
    ("葵", "アオイ", "aoi"),
    ("翔太", "ショウタ", "shota"),
    ("恵子", "ケイコ", "keiko"),
    ("誠", "マコト", "makoto"),
    ("由美", "ユミ", "yumi"),
    ("浩", "ヒロシ", "hiroshi"),
    ("幸子", "サチコ", "sachiko"),
    ("隆", "タカシ", "takashi"),
    ("真由美", "マユミ", "mayumi"),
    ("学", "マナブ", "manabu"),
    ("直美", "ナオミ", "naomi"),
    ("和也", "カズヤ", "kazuya"),
    ("智子", "トモコ", "tomoko"),
    ("剛", "ツヨシ", "tsuyoshi"),
    ("愛", "アイ", "ai"),
    ("拓海", "タクミ", "takumi"),
    ("千尋", "チヒロ", "chihiro"),
    ("亮", "リョウ", "ryo"),
    ("舞", "マイ", "mai"),
    ("修", "オサム", "osamu"),
    ("香織", "カオリ", "kaori"),
    ("進", "ススム", "susumu"),
];

const ENGLISH_SURNAMES: [&str; 24] = [
    "Abbott", "Baker", "Carter", "Dawson", "Ellis", "Foster", "Grant", "Harper", "Irving", "Jensen", "Kelly", "Lawson",
    "Morgan", "Nolan", "O'Brien", "Parker", "Quinn", "Reed", "Sutton", "Turner", "Upton", "Vaughan", "Walker", "Young",
];
const ENGLISH_GIVEN_NAMES: [&str; 24] = [
    "Alice", "Ben", "Chloe", "Daniel", "Emma", "Frank", "Grace", "Henry", "Isla", "Jack", "Kate", "Liam", "Mia",
    "Noah", "Olivia", "Paul", "Rose", "Sam", "Tess", "Umar", "Vera", "Will", "Zoe", "Adam",
];

/// Wards and towns that do not exist, in cities that do.
const PLACES: [(&str, &str); 8] = [
    ("東京都見附区", "Mitsuke Ward, Tokyo"),
    ("東京都桜川区", "Sakuragawa Ward, Tokyo"),
    ("大阪市浪花北区", "Naniwa-Kita Ward, Osaka"),
    ("名古屋市金城区", "Kinjo Ward, Nagoya"),
    ("札幌市時計台区", "Tokeidai Ward, Sapporo"),
    ("福岡市玄海区", "Genkai Ward, Fukuoka"),
    ("仙台市青空区", "Aozora Ward, Sendai"),
    ("横浜市汽車道区", "Kishamichi Ward, Yokohama"),
];
const STREETS: [(&str, &str); 6] = [
    ("城門町", "Jomon-cho"),
    ("番所通", "Bansho-dori"),
    ("石垣", "Ishigaki"),
    ("堀端", "Horibata"),
    ("大手町", "Ote-machi"),
    ("櫓下", "Yagurashita"),
];
const DOMAINS: [&str; 3] = ["example.com", "example.jp", "example.org"];

impl Person {
    /// The customer `id`; `id` makes the mail address unique.
    pub fn new(id: u32, dice: &mut Dice) -> Person {
        let birth_date = format!("{}-{:02}-{:02}", 1940 + dice.below(66), 1 + dice.below(12), 1 + dice.below(28));
        let domain = dice.pick(&DOMAINS);
        let (place, street) = (dice.pick(&PLACES), dice.pick(&STREETS));
        let number = format!("{}-{}-{}", 1 + dice.below(9), 1 + dice.below(20), 1 + dice.below(30));
        if dice.below(100) < JAPANESE_PERCENT {
            let (surname, given) = (dice.pick(&SURNAMES), dice.pick(&GIVEN_NAMES));
            return Person {
                name: format!("{} {}", surname.0, given.0),
                kana: Some(format!("{} {}", surname.1, given.1)),
                email: format!("{}.{}{id}@{domain}", given.2, surname.2),
                phone: format!("03-5550-{:04}", dice.below(10_000)),
                address: format!("{}{}{number}", place.0, street.0),
                birth_date,
                my_number: (dice.below(100) < MY_NUMBER_PERCENT).then(|| impossible_my_number(dice)),
            };
        }
        let (surname, given) = (dice.pick(&ENGLISH_SURNAMES), dice.pick(&ENGLISH_GIVEN_NAMES));
        let mailbox = format!("{given}.{surname}{id}").to_lowercase().replace('\'', "");
        Person {
            name: format!("{given} {surname}"),
            kana: None,
            email: format!("{mailbox}@{domain}"),
            phone: format!("+1-{}-555-01{:02}", 201 + dice.below(700), dice.below(100)),
            address: format!("{number} {}, {}", street.1, place.1),
            birth_date,
            my_number: None,
        }
    }
}

/// Eleven digits and a check digit that is one off.
fn impossible_my_number(dice: &mut Dice) -> String {
    let mut digits: Vec<u8> = (0..11).map(|_| dice.digit()).collect();
    digits.push((check_digit(&digits) + 1) % 10);
    digits.iter().map(|digit| char::from(b'0' + digit)).collect()
}

/// Of eleven digits; Ministry of Internal Affairs and Communications, Ordinance No. 85 of 2014, Article 5.
fn check_digit(digits: &[u8]) -> u8 {
    let sum: u32 = digits
        .iter()
        .rev()
        .zip((2..=7).chain(2..=6))
        .map(|(digit, weight): (&u8, u32)| u32::from(*digit) * weight)
        .sum();
    match sum % 11 {
        0 | 1 => 0,
        rest => (11 - rest) as u8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_real() {
        let mut dice = Dice::new(1);
        for id in 1..5_000 {
            let person = Person::new(id, &mut dice);
            let (_, domain) = person.email.split_once('@').unwrap();
            assert!(DOMAINS.contains(&domain), "{domain}");
            assert!(person.phone.starts_with("03-5550-") || person.phone.contains("-555-01"), "{}", person.phone);
            if let Some(number) = person.my_number {
                let digits: Vec<u8> = number.bytes().map(|byte| byte - b'0').collect();
                assert_eq!(digits.len(), 12);
                assert_ne!(check_digit(&digits[..11]), digits[11]);
            }
        }
    }

    #[test]
    fn the_check_digit_is_the_ordinance_s() {
        // The specimen number of the government's own forms.
        assert_eq!(check_digit(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]), 8);
    }
}
