//! What alerts say in Japanese.
//!
//! In: a finding's columns. Out: its title and a sentence. The explanation in the log is in English; the sentence here is made from the figures
//! beside it, and says no more than they do. PURE.

use crate::policy::explanation::grouped;
use crate::policy::judged::tame;
use crate::record::{Action, Finding, Severity};

/// 緊急, 高, 中, 低.
pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "緊急",
        Severity::High => "高",
        Severity::Medium => "中",
        Severity::Low => "低",
    }
}

/// The title: of a built-in policy, or as its author wrote it.
pub(super) fn title(finding: &Finding) -> &str {
    let known = TITLES.iter().find(|(id, _)| **id == *finding.policy);
    known.map_or(&*finding.title, |(_, title)| title)
}

/// `多数の個人データの参照。1 回の操作で 20,000 人分の個人データの参照を検知しました（しきい値 1,000）。対象: ユーザー clerk、接続元 127.0.0.66`
pub(super) fn sentence(finding: &Finding) -> String {
    let mut text = format!("{}。{}", tame(title(finding)), deed(finding));
    text.push_str(match finding.action {
        Some(Action::Deny) => "この操作は拒否されました。",
        Some(Action::Cut) => "途中で通信を切断しました。",
        Some(Action::Quarantine) => "対象の接続を一時的に遮断しました。",
        Some(Action::Alert) | None => "",
    });
    let about = about(finding);
    if !about.is_empty() {
        text.push_str("対象: ");
        text.push_str(&about);
    }
    text
}

fn deed(finding: &Finding) -> String {
    let Some((figure, measure)) = finding.observed.zip(finding.measure.as_deref()) else {
        return "該当する操作を検知しました。".to_owned();
    };
    let within = match finding.within_us {
        Some(micros) => format!("{}に ", duration(micros)),
        None if finding.evidence.as_deref().is_some_and(|evidence| !evidence.is_empty()) => "1 回の操作で ".to_owned(),
        None => String::new(),
    };
    let limit = finding.threshold.map_or_else(String::new, |limit| format!("（しきい値 {}）", grouped(limit)));
    format!("{within}{}を検知しました{limit}。", noun(measure, figure))
}

fn noun(measure: &str, figure: u64) -> String {
    let number = grouped(figure);
    match measure {
        "persons" => format!("{number} 人分の個人データの参照"),
        "personal_rows" => format!("個人データ {number} 行の参照"),
        "rows_returned" => format!("{number} 行の取得"),
        "rows_affected" => format!("{number} 行の変更"),
        "bytes_out" => format!("{number} バイトの取得"),
        "bytes_in" => format!("{number} バイトの送信"),
        "statements" => format!("{number} 件のステートメントの実行"),
        "sessions" => format!("{number} 件の接続"),
        "transactions" => format!("{number} 件のトランザクション"),
        other => match other.strip_prefix("distinct ") {
            Some(column) => format!("{number} 種類の{}", column_name(column)),
            None => format!("{other} {number}"),
        },
    }
}

fn column_name(column: &str) -> String {
    let known = match column {
        "client_addr" => "接続元アドレス",
        "db_user" => "ユーザー",
        "end_user" => "エンドユーザー",
        "application_name" => "アプリケーション",
        "database" => "データベース",
        "relations" => "テーブル",
        "query" | "fingerprint" => "クエリー",
        "session_id" => "セッション",
        other => return format!(" {other}"),
    };
    known.to_owned()
}

/// `24 時間以内`, `10 分以内`.
fn duration(micros: u64) -> String {
    const SECOND: u64 = 1_000_000;
    let units = [("日", 86_400 * SECOND), ("時間", 3_600 * SECOND), ("分", 60 * SECOND), ("秒", SECOND)];
    let whole = |(_, unit): &&(&str, u64)| micros >= *unit && micros.is_multiple_of(*unit);
    match units.iter().find(whole) {
        // 24 hours are a day's limit, and said so.
        Some(("日", unit)) if micros / unit == 1 => "24 時間以内".to_owned(),
        Some((word, unit)) => format!("{} {word}以内", micros / unit),
        None => format!("{} 秒以内", micros.div_ceil(SECOND)),
    }
}

fn about(finding: &Finding) -> String {
    let end_user = finding.end_user.as_ref().filter(|name| finding.application_name.as_ref() != Some(name));
    let parts = [
        ("ユーザー", finding.db_user.as_ref()),
        ("エンドユーザー", end_user),
        ("接続元", finding.client_addr.as_ref()),
        ("アプリケーション", finding.application_name.as_ref()),
        ("データベース", finding.database.as_ref()),
    ];
    let said = parts.into_iter().filter_map(|(name, value)| Some(format!("{name} {}", tame(value?))));
    said.collect::<Vec<_>>().join("、")
}

/// Of the built-in policies, and of the findings that have no file.
pub(super) const TITLES: [(&str, &str); 61] = [
    ("after-hours-personal-read", "業務時間外の個人データの参照"),
    ("always-true", "サービスのクエリーに常に真となる条件"),
    ("audit-settings-of-a-session", "セッション自身による監査設定の無効化"),
    ("bait-in-bulk", "多数の参照に含まれるおとりの人物"),
    ("bait-looked-up", "おとりの人物の参照"),
    ("block-of-code", "内容を確認できないコードブロックの実行"),
    ("bulk-personal-read", "多数の個人データの参照"),
    ("bypass", "Mitsuke を経由しない接続"),
    ("bypass-statements", "Mitsuke を経由しないステートメント"),
    ("classified-data-led-on", "機密データを含むビュー・関数・表の作成"),
    ("copy-of-classified-data", "機密データのコピー出力"),
    ("data-led-elsewhere", "データベース外への経路の作成"),
    ("dropped-or-emptied", "テーブルの削除または全件消去"),
    ("dump-tool", "ダンプの取得"),
    ("errors-of-a-service", "サービスのクエリーでのエラー多発"),
    ("first-address", "初めての接続元アドレスからの利用"),
    ("first-application", "初めてのアプリケーションからの利用"),
    ("first-table-read", "機密テーブルの初めての参照"),
    ("forged-context", "署名が偽造されたコメント"),
    ("function-with-owner-s-rights", "所有者権限で動作する関数の作成"),
    ("granted-to-everybody", "全ユーザーへの権限付与"),
    ("honeytoken-read", "おとりデータの参照"),
    ("log-gap", "監査ログの欠落"),
    ("login-failure-burst", "ログイン失敗の多発"),
    ("looked-around-then-read", "システムカタログの探索後の個人データ参照"),
    ("many-people-by-end-user", "サービス利用者 1 名による多数の個人データの参照"),
    ("many-people-in-a-day", "1 日での多数の個人データの参照"),
    ("mass-change", "手作業による大量の行の変更"),
    ("much-in-few-rows", "少数の行に含まれる大量の機密データ"),
    ("new-or-dormant-role", "初めて、または長期間ぶりに使われたロール"),
    ("not-understood", "解析できないステートメントの実行"),
    ("one-by-one-lookups", "個人データの 1 件ずつの連続照会"),
    ("one-user-from-many-addresses", "多数のアドレスからの同一ユーザーのログイン失敗"),
    ("other-servers-asked", "データベース内からの他サーバーへの接続"),
    ("paging-through-people", "ページ送りによる個人データの連続取得"),
    ("password-hashes-read", "パスワードハッシュの参照"),
    ("password-list-kept-out", "多数のユーザーを試行したアドレスの遮断"),
    ("password-spraying", "1 つのアドレスからの多数のユーザーの試行"),
    ("personal-data-in-another-role", "切り替えたロールでの個人データの参照"),
    ("personal-table-read-whole", "条件なしでの個人データテーブルの全件参照"),
    ("protection-switched-off", "行セキュリティまたはトリガーの無効化"),
    ("refused-without-a-rule", "許可ルールのないログインの試行"),
    ("replication-from-new-address", "実績のないアドレスからのレプリケーション"),
    ("rights-changed", "権限またはロールの変更"),
    ("role-made-powerful", "ロールへの強い権限の付与"),
    ("schema-changed-out-of-hours", "業務時間外のスキーマ変更"),
    ("sensitive-data-by-hand", "データベースツールによる要配慮個人情報の参照"),
    ("server-files", "サーバー上のファイルの読み書き"),
    ("server-settings-changed", "サーバー設定の変更"),
    ("service-account-from-new-address", "初めてのアドレスからのサービスアカウントの利用"),
    ("service-reads-the-catalogue", "サービスによるシステムカタログの探索"),
    ("service-waits", "サービスのクエリーによる待機の要求"),
    ("stacked-statements", "サービスがこれまでになく複数の文を一度に送信"),
    ("stale-context", "署名済みコメントの時間をおいた再送"),
    ("success-after-failures", "多数の失敗後のログイン成功"),
    ("superuser-reads-people", "スーパーユーザーによる個人データの参照"),
    ("tool-on-service-account", "サービスアカウントでのデータベースツールの利用"),
    ("unclassified-personal-data", "分類されていない個人データと思われる列"),
    ("untrusted-language", "信頼されない言語による関数の作成"),
    ("unusual-day", "普段を大きく上回る 1 日の個人データの参照"),
    ("unusual-hour-read", "このロールが普段読まない時間帯の分類済みデータの参照"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::built_in::FILES;

    #[test]
    fn every_built_in_policy_has_a_title_and_every_title_a_policy() {
        let ids: Vec<&str> = FILES
            .iter()
            .filter(|(path, _)| path.ends_with(".yaml") && !path.ends_with(".cases.yaml"))
            .filter_map(|(path, _)| path.strip_prefix("policies/")?.split_once('/')?.1.strip_suffix(".yaml"))
            .collect();
        let has_title = |id: &&&str| TITLES.iter().any(|(known, _)| known == *id);
        assert_eq!(ids.iter().filter(|id| !has_title(id)).collect::<Vec<_>>(), Vec::<&&str>::new());
        let made = ["bypass", "bypass-statements", "log-gap", "unclassified-personal-data"];
        let stray: Vec<_> = TITLES.iter().filter(|(id, _)| !ids.contains(id) && !made.contains(id)).collect();
        assert!(stray.is_empty(), "{stray:?}");
        assert!(TITLES.windows(2).all(|two| two[0].0 < two[1].0), "in order");
    }

    #[test]
    fn a_sentence_says_what_the_figures_say() {
        let finding = Finding {
            policy: "many-people-in-a-day".into(),
            title: "t".into(),
            severity: Some(Severity::High),
            observed: Some(20_031),
            threshold: Some(1_000),
            measure: Some("persons".into()),
            within_us: Some(86_400_000_000),
            db_user: Some("clerk".into()),
            client_addr: Some("127.0.0.66".into()),
            application_name: Some("psql\n".into()),
            end_user: Some("psql\n".into()),
            ..Finding::default()
        };
        assert_eq!(
            sentence(&finding),
            "1 日での多数の個人データの参照。24 時間以内に 20,031 人分の個人データの参照を検知しました（しきい値 1,000）。\
             対象: ユーザー clerk、接続元 127.0.0.66、アプリケーション psql?"
        );
        let own = Finding {
            policy: "own".into(),
            title: "夜間のコピー".into(),
            action: Some(Action::Deny),
            ..Finding::default()
        };
        assert_eq!(sentence(&own), "夜間のコピー。該当する操作を検知しました。この操作は拒否されました。");
        let burst = Finding {
            observed: Some(12),
            measure: Some("distinct db_user".into()),
            within_us: Some(600_000_000),
            ..own
        };
        assert!(sentence(&burst).contains("10 分以内に 12 種類のユーザーを検知しました。"), "{}", sentence(&burst));
    }
}
