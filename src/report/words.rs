//! What a report says, in English or Japanese: one table of messages.
//!
//! In: the English words, which stand in the templates and the questions. Out: those of the language. What is not in the table, a value of
//! the log, stays as it is. PURE.

use crate::alert::Lang;

/// The words in that language.
pub(super) fn said(lang: Lang, english: &str) -> &str {
    match lang {
        Lang::En => english,
        Lang::Ja => JAPANESE.iter().find(|(known, _)| *known == english).map_or(english, |(_, japanese)| japanese),
    }
}

/// How many columns of a terminal a text takes: Chinese, Japanese and Korean characters take two.
pub(super) fn width(text: &str) -> usize {
    text.chars()
        .map(|c| if ('\u{1100}'..='\u{115f}').contains(&c) || ('\u{2e80}'..='\u{ffe6}').contains(&c) { 2 } else { 1 })
        .sum()
}

const JAPANESE: &[(&str, &str)] = &[
    // The page.
    ("Suspicious access", "不審なアクセスのレポート"),
    ("to", "から"),
    ("log", "監査ログ"),
    ("findings", "検知"),
    ("Findings", "検知"),
    ("no findings", "検知なし"),
    ("critical", "緊急"),
    ("high", "高"),
    ("medium", "中"),
    ("low", "低"),
    ("People read per day", "日別の参照人数"),
    (
        "All users together; somebody looked up twice counts twice.",
        "全ユーザーの合計です。同じ人を 2 回参照した場合は 2 人と数えます。",
    ),
    ("people", "人数"),
    ("None.", "該当なし"),
    ("none", "該当なし"),
    ("more; the query below gives them all.", "件は省略しました。下の SQL ですべて確認できます。"),
    ("more", "件は省略"),
    ("The SQL behind it", "この表の SQL"),
    ("The log's proof", "監査ログの証明"),
    (
        "The head of each writer's chain when this was made.",
        "このレポートを作成した時点の、書き込み元ごとのハッシュチェーンの先頭です。",
    ),
    (
        "holds the log against it: one written anew, or cut off, since then no longer has that line.",
        "で監査ログを照合できます。その後に書き換えられた、または切り詰められたログには、この行がありません。",
    ),
    ("The chain's head, for `mitsuke verify --head`", "ハッシュチェーンの先頭（`mitsuke verify --head` で照合）"),
    ("writer", "書き込み元"),
    ("line", "行"),
    ("hash", "ハッシュ"),
    ("Name", "氏名"),
    ("Date", "日付"),
    ("Signature", "署名"),
    (
        "Every figure can be had again with `mitsuke query` and the SQL beneath its table. Literals and values are not in the log; people are counted, not named.",
        "すべての数値は、各表の SQL を `mitsuke query` に渡して再確認できます。リテラルや値は監査ログに含まれません。人は人数としてのみ数え、氏名は記録しません。",
    ),
    (
        "The whole report, with a chart and the SQL behind every figure, is attached: it needs nothing but a browser. Literals and values are not in it; people are counted, not named.",
        "グラフと各数値の SQL を含むレポート全体を添付しています。ブラウザーだけで閲覧できます。リテラルや値は含まれません。人は人数としてのみ数え、氏名は記録しません。",
    ),
    // Figures.
    ("statements", "ステートメント数"),
    ("sessions ended", "終了したセッション数"),
    ("users", "ユーザー数"),
    ("rows of personal data", "個人データの行数"),
    ("sidecars", "サイドカー数"),
    // Tables.
    (
        "What a policy matched, the gravest first. The log has each one's evidence by statement number.",
        "ポリシーに該当した操作を、重大度の高い順に示します。根拠となるステートメントの番号は監査ログにあります。",
    ),
    ("Who read how many people", "ユーザー別の参照人数"),
    (
        "People are counted anew by each statement: somebody looked up twice counts twice. Rows without a known data subject count as one person each.",
        "人数はステートメントごとに数えます。同じ人を 2 回参照した場合は 2 人です。誰のデータか分からない行は、1 行を 1 人と数えます。",
    ),
    ("Against the weeks before", "過去の週との比較"),
    (
        "People read by each user, this week and in the four before it.",
        "ユーザーごとの参照人数を、今週とその前の 4 週間について示します。",
    ),
    ("From which tables", "参照元のテーブル"),
    (
        "Statements that returned personal data, by every table they read.",
        "個人データを返したステートメントを、参照したテーブルごとに集計しています。",
    ),
    ("How sure the log is", "記録の確からしさ"),
    (
        "exact: text, catalog and wire agree. inferred: from the text or names alone. assumed: the worst that could be.",
        "exact: SQL 文、カタログ、通信内容が一致。inferred: SQL 文または名前からの推定。assumed: 最悪の場合を想定。",
    ),
    ("Permits used", "使用された許可"),
    (
        "Announced bulk work. Statements that a permit covers raise no finding of bulk reading.",
        "事前に申請された大量処理です。許可の範囲内のステートメントは、大量参照として検知されません。",
    ),
    ("Permits announced", "申請された許可の状況"),
    (
        "exceeded: the same role read the same tables past the permit's number. after end: it still read them, this week, when the permit was over. An expired or unused permit can go from permits.yaml. At most 100, those that end last.",
        "exceeded: 同じロールが、許可された人数を超えて同じテーブルを参照。after end: 許可の終了後に、今週も参照。期限切れや未使用の許可は permits.yaml から削除できます。終了日の遅い順に 100 件までを表示します。",
    ),
    ("Tickets named", "コメントで示されたチケット"),
    (
        "What statements named in a comment, -- ticket: OPS-1234. A ticket that is no permit's id covers nothing; one that is covers what its permit is for.",
        "ステートメントのコメント（-- ticket: OPS-1234）で示されたチケットです。許可の ID でないチケットは何も許可しません。",
    ),
    ("Failed logins", "ログインの失敗"),
    ("Sessions that ended with a wrong credential.", "認証情報の誤りで終了したセッションです。"),
    ("What the log covers", "監査ログの範囲"),
    (
        "Days without a statement are not in this table: nothing is claimed of them. Gaps in the log are findings of the policy log-gap.",
        "ステートメントのない日はこの表に含まれず、その日については何も保証しません。監査ログの欠落は、ポリシー log-gap の検知として示します。",
    ),
    // Columns.
    ("severity", "重大度"),
    ("at", "日時"),
    ("policy", "ポリシー"),
    ("db user", "ユーザー"),
    ("end user", "エンドユーザー"),
    ("client addr", "接続元"),
    ("explanation", "説明"),
    ("observed", "観測値"),
    ("threshold", "しきい値"),
    ("most at once", "1 回の最多人数"),
    ("rows", "行数"),
    ("addresses", "アドレス数"),
    ("this week", "今週"),
    ("1 before", "1 週前"),
    ("2 before", "2 週前"),
    ("3 before", "3 週前"),
    ("4 before", "4 週前"),
    ("relation", "テーブル"),
    ("certainty", "確からしさ"),
    ("parse", "解析"),
    ("catalog", "カタログ"),
    ("permit", "許可"),
    ("first", "最初"),
    ("last", "最後"),
    ("state", "状態"),
    ("announced", "申請人数"),
    ("past", "超過"),
    ("after end", "終了後"),
    ("until", "期限"),
    ("approved by", "承認者"),
    ("ticket", "チケット"),
    ("covered", "許可内"),
    ("people covered", "許可内の人数"),
    ("attempts", "試行回数"),
    ("day", "日"),
    ("first seq", "最初の番号"),
    ("last seq", "最後の番号"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::policy::permit::Permit;
    use crate::report::announced;
    use crate::report::questions::{Question, tables};
    use crate::report::week::Week;

    #[test]
    fn every_table_s_title_and_note_has_its_japanese() {
        let week = Week::of(Timestamp(1_780_272_000_000_000));
        let permits: Vec<Permit> = Vec::new();
        let all: Vec<Question> = tables(week).into_iter().chain([announced::tickets(week, &permits)]).collect();
        for words in all.iter().flat_map(|question| [question.title, question.note]) {
            assert_ne!(said(Lang::Ja, words), words, "{words}");
            assert_eq!(said(Lang::En, words), words);
        }
    }

    #[test]
    fn no_words_are_there_twice_and_a_value_stays_as_it_is() {
        for (index, (english, _)) in JAPANESE.iter().enumerate() {
            assert!(!JAPANESE.iter().skip(index + 1).any(|(other, _)| other == english), "{english}");
        }
        assert_eq!(said(Lang::Ja, "shop.customers"), "shop.customers");
        assert_eq!((width("abc"), width("検知a")), (3, 5));
    }
}
