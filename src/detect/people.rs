//! Names of people in kanji and kana.
//!
//! In: text without control characters. Out: whether it is a family name that is common in Japan, followed by something like a given
//! name. About half of all people have one of the names below, so that a column is told by a quarter of its values; what is
//! asked of a value is strict instead: towns, shops and words in kana have no such beginning, or go on otherwise.

/// Family names, and how they are read; the most frequent ones, as public counts of telephone books have them.
const FAMILY_NAMES: [(&str, &str); 150] = [
    ("佐藤", "サトウ"),
    ("鈴木", "スズキ"),
    ("高橋", "タカハシ"),
    ("田中", "タナカ"),
    ("伊藤", "イトウ"),
    ("渡辺", "ワタナベ"),
    ("山本", "ヤマモト"),
    ("中村", "ナカムラ"),
    ("小林", "コバヤシ"),
    ("加藤", "カトウ"),
    ("吉田", "ヨシダ"),
    ("山田", "ヤマダ"),
    ("佐々木", "ササキ"),
    ("山口", "ヤマグチ"),
    ("松本", "マツモト"),
    ("井上", "イノウエ"),
    ("木村", "キムラ"),
    ("林", "ハヤシ"),
    ("斎藤", "サイトウ"),
    ("清水", "シミズ"),
    ("山崎", "ヤマザキ"),
    ("森", "モリ"),
    ("池田", "イケダ"),
    ("橋本", "ハシモト"),
    ("阿部", "アベ"),
    ("石川", "イシカワ"),
    ("山下", "ヤマシタ"),
    ("中島", "ナカジマ"),
    ("石井", "イシイ"),
    ("小川", "オガワ"),
    ("前田", "マエダ"),
    ("岡田", "オカダ"),
    ("長谷川", "ハセガワ"),
    ("藤田", "フジタ"),
    ("後藤", "ゴトウ"),
    ("近藤", "コンドウ"),
    ("村上", "ムラカミ"),
    ("遠藤", "エンドウ"),
    ("青木", "アオキ"),
    ("坂本", "サカモト"),
    ("斉藤", "サイトウ"),
    ("福田", "フクダ"),
    ("太田", "オオタ"),
    ("西村", "ニシムラ"),
    ("藤井", "フジイ"),
    ("金子", "カネコ"),
    ("岡本", "オカモト"),
    ("藤原", "フジワラ"),
    ("三浦", "ミウラ"),
    ("中野", "ナカノ"),
    ("中川", "ナカガワ"),
    ("原田", "ハラダ"),
    ("松田", "マツダ"),
    ("竹内", "タケウチ"),
    ("小野", "オノ"),
    ("田村", "タムラ"),
    ("中山", "ナカヤマ"),
    ("和田", "ワダ"),
    ("石田", "イシダ"),
    ("森田", "モリタ"),
    ("上田", "ウエダ"),
    ("原", "ハラ"),
    ("内田", "ウチダ"),
    ("柴田", "シバタ"),
    ("酒井", "サカイ"),
    ("宮崎", "ミヤザキ"),
    ("横山", "ヨコヤマ"),
    ("高木", "タカギ"),
    ("安藤", "アンドウ"),
    ("宮本", "ミヤモト"),
    ("大野", "オオノ"),
    ("小島", "コジマ"),
    ("谷口", "タニグチ"),
    ("今井", "イマイ"),
    ("工藤", "クドウ"),
    ("高田", "タカダ"),
    ("増田", "マスダ"),
    ("丸山", "マルヤマ"),
    ("杉山", "スギヤマ"),
    ("村田", "ムラタ"),
    ("大塚", "オオツカ"),
    ("新井", "アライ"),
    ("小山", "コヤマ"),
    ("平野", "ヒラノ"),
    ("藤本", "フジモト"),
    ("河野", "コウノ"),
    ("上野", "ウエノ"),
    ("野口", "ノグチ"),
    ("武田", "タケダ"),
    ("松井", "マツイ"),
    ("千葉", "チバ"),
    ("菅原", "スガワラ"),
    ("岩崎", "イワサキ"),
    ("久保", "クボ"),
    ("木下", "キノシタ"),
    ("佐野", "サノ"),
    ("野村", "ノムラ"),
    ("松尾", "マツオ"),
    ("市川", "イチカワ"),
    ("菊地", "キクチ"),
    ("杉本", "スギモト"),
    ("古川", "フルカワ"),
    ("大西", "オオニシ"),
    ("島田", "シマダ"),
    ("水野", "ミズノ"),
    ("桜井", "サクライ"),
    ("高野", "タカノ"),
    ("渡部", "ワタナベ"),
    ("吉川", "ヨシカワ"),
    ("山内", "ヤマウチ"),
    ("西田", "ニシダ"),
    ("飯田", "イイダ"),
    ("菊池", "キクチ"),
    ("西川", "ニシカワ"),
    ("小松", "コマツ"),
    ("北村", "キタムラ"),
    ("安田", "ヤスダ"),
    ("五十嵐", "イガラシ"),
    ("川口", "カワグチ"),
    ("平田", "ヒラタ"),
    ("関", "セキ"),
    ("中田", "ナカタ"),
    ("久保田", "クボタ"),
    ("服部", "ハットリ"),
    ("東", "ヒガシ"),
    ("岩田", "イワタ"),
    ("土屋", "ツチヤ"),
    ("川崎", "カワサキ"),
    ("福島", "フクシマ"),
    ("本田", "ホンダ"),
    ("辻", "ツジ"),
    ("樋口", "ヒグチ"),
    ("秋山", "アキヤマ"),
    ("田口", "タグチ"),
    ("永井", "ナガイ"),
    ("山中", "ヤマナカ"),
    ("中西", "ナカニシ"),
    ("吉村", "ヨシムラ"),
    ("川上", "カワカミ"),
    ("石原", "イシハラ"),
    ("大橋", "オオハシ"),
    ("松岡", "マツオカ"),
    ("浜田", "ハマダ"),
    ("馬場", "ババ"),
    ("矢野", "ヤノ"),
    ("浅野", "アサノ"),
    ("小池", "コイケ"),
    ("荒木", "アラキ"),
    ("大久保", "オオクボ"),
    ("熊谷", "クマガイ"),
];

/// What given names end in, where nothing stands between them and the family name.
const GIVEN_ENDS: &str = "子美香奈恵代江枝花菜乃里緒太郎朗介助平一二三雄夫男彦人斗翔大輔也哉樹貴之行幸司史志治明弘浩博広宏裕隆孝健剛\
                          誠学修進実翼蓮陽葵結愛桜咲希佳織音莉沙紗央真由衣優華凛和則義信正昭秀敏洋茂清勝稔豊勉徹聡智淳純章俊仁";

/// `山田 太郎`, `山田太郎`.
pub(super) fn is_name_in_kanji(text: &str) -> bool {
    let given = match text.split_once(' ') {
        Some((family, given)) => {
            let is_family = FAMILY_NAMES.iter().any(|(name, _)| *name == family);
            return is_family && (1..=4).contains(&given.chars().count()) && given.chars().all(is_japanese);
        }
        None => FAMILY_NAMES
            .iter()
            .filter(|(name, _)| name.chars().count() > 1)
            .find_map(|(name, _)| text.strip_prefix(name)),
    };
    given.is_some_and(|given| {
        (1..=3).contains(&given.chars().count())
            && given.chars().all(is_kanji)
            && given.chars().next_back().is_some_and(|last| GIVEN_ENDS.contains(last))
    })
}

/// `ヤマダ タロウ`, `やまだ たろう`, in half width too.
pub(super) fn is_name_in_kana(text: &str) -> bool {
    let Some((family, given)) = text.split_once(' ') else { return false };
    let family = katakana(family);
    (2..=6).contains(&given.chars().count())
        && given.chars().all(is_kana)
        && FAMILY_NAMES.iter().any(|(_, read)| *read == family)
}

fn is_japanese(c: char) -> bool {
    is_kanji(c) || is_kana(c)
}

fn is_kanji(c: char) -> bool {
    matches!(c, '\u{4e00}'..='\u{9fff}' | '々' | '\u{3400}'..='\u{4dbf}' | '\u{f900}'..='\u{faff}')
}

fn is_kana(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{3096}' | '\u{30a1}'..='\u{30fa}' | 'ー' | '\u{ff66}'..='\u{ff9f}')
}

/// Half-width kana in the order of U+FF66.
const HALF_WIDTH: &str =
    "ヲァィゥェォャュョッーアイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン";

/// Hiragana and half width as katakana.
fn katakana(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{3041}'..='\u{3096}' => out.extend(char::from_u32(u32::from(c) + 0x60)),
            '\u{ff66}'..='\u{ff9d}' => {
                let place = usize::try_from(u32::from(c) - 0xff66).unwrap_or(usize::MAX);
                out.extend(HALF_WIDTH.chars().nth(place));
            }
            // A voicing mark makes another letter of the one before it: カ and its mark are ガ, the next code point; ハ and its
            // other mark are パ, the one after.
            'ﾞ' | 'ﾟ' => {
                let steps = if c == 'ﾞ' { 1 } else { 2 };
                let before = out.pop();
                out.extend(before.and_then(|before| char::from_u32(u32::from(before) + steps)));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_people_are_told_from_places_and_things() {
        for name in ["山田 太郎", "山田太郎", "佐藤 さくら", "長谷川 誠", "高橋美咲", "林 真由美", "鈴木 エリカ"]
        {
            assert!(is_name_in_kanji(name), "{name}");
        }
        for other in [
            "東京都",
            "石川県",
            "千葉市",
            "山田電機",
            "中野駅",
            "福島 県庁舎前広場",
            "東京 太郎",
            "コンサート",
            "山口",
            "森林公園",
            "川崎大師駅前店",
        ] {
            assert!(!is_name_in_kanji(other), "{other}");
        }
        for name in ["ヤマダ タロウ", "やまだ たろう", "ﾔﾏﾀﾞ ﾀﾛｳ", "ワタナベ エミ", "ﾊﾔｼ ﾕｳｺ", "ババ ショウタ"]
        {
            assert!(is_name_in_kana(name), "{name}");
        }
        for other in
            ["コンサート チケット", "ジャズ ライブ", "ヤマダ", "タナカ トウキョウホール", "オンライン イベント"]
        {
            assert!(!is_name_in_kana(other), "{other}");
        }
    }

    #[test]
    fn no_family_name_stands_there_twice() {
        let distinct: std::collections::HashSet<_> = FAMILY_NAMES.iter().map(|(name, _)| name).collect();
        assert_eq!(distinct.len(), FAMILY_NAMES.len());
    }
}
