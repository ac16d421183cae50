//! Signed comments: the examples of docs/identity.md sign as Mitsuke reads, through real drivers; what is copied, changed or late is
//! told from what is signed, and a policy can insist.

use std::fs;
use std::path::Path;
use std::process::Command;

use mitsuke::record::{Finding, Outcome, Proof, Statement};

use crate::support::programs::{interpreter, psql, run, test_programs};
use crate::support::server::database;
use crate::support::sidecar::Sidecar;
use crate::support::wait_for;

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
/// Of the guide: the time and the key's name are given.
const VECTOR: &str = "app='shop',mitsuke_at='1795600000',mitsuke_key='shop-1',\
    mitsuke_mac='4bafc178590ec77b4057dc52935387a6e2ed3444fb9a66aa85806847637edf6c',user='anna%20b'";

fn guide() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/identity.md")).expect("the guide")
}

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    guide().split(&opening).skip(1).map(|rest| rest.split("```").next().expect("a part").to_owned()).collect()
}

/// A sidecar that knows the key.
fn signed(more: &str) -> (Sidecar, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keys = folder.path().join("comment.keys");
    fs::write(&keys, format!("# the shop's\nshop-1 {KEY}\n")).expect("it can be written");
    let config = format!(
        "[identity]\ncomment_keys = \"{}\"\nend_user = [\"signed:user\", \"application_name\"]\n{more}",
        keys.display()
    );
    (Sidecar::start(&config), folder)
}

/// The statements that name the table, when they are all there.
fn logged(sidecar: &Sidecar, table: &str, count: usize) -> Vec<Statement> {
    let of_table = |statement: &Statement| statement.query.as_deref().is_some_and(|query| query.contains(table));
    wait_for("the records", || {
        let found: Vec<Statement> = sidecar.records::<Statement>().into_iter().filter(of_table).collect();
        (found.len() >= count).then_some(found)
    })
}

fn python(script: &str, url: &str) -> String {
    let mut command = Command::new(interpreter());
    command.args(["-", url, KEY]);
    run(command, script.as_bytes()).expect_success()
}

/// What the guide says of Python, as one script.
fn python_of_the_guide(then: &str) -> String {
    let given = "import sys\nURL, KEY, NAME = sys.argv[1], bytes.fromhex(sys.argv[2]), 'shop-1'\n";
    format!("{given}{}\n{then}", blocks("python").join("\n"))
}

#[test]
fn the_examples_give_what_the_guide_says() {
    let sql = "select email from shop.customers where id = ";
    assert!(guide().contains(&format!("{sql}$1 /*{VECTOR}*/")));
    let script = format!(
        "{}\nprint(sign(\"{sql}%(id)s;\", {{'user': 'anna b', 'app': 'shop'}}, 'shop-1', bytes.fromhex(sys.argv[2]), 1795600019))",
        blocks("python")[0].replace("import hashlib", "import sys, hashlib")
    );
    let vector = VECTOR.replace('%', "%%");
    // 1,795,600,000 is no whole minute: the examples round down, the vector's time is as it is.
    let script = script.replace("// 60 * 60", "// 50 * 50");
    assert_eq!(python(&script, "").trim(), format!("{sql}%(id)s\n/*{vector}*/"));
    let Some(java) = java() else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let main = format!(
        "public static void main(String[] given) throws Exception {{ System.out.println(sign(\"{sql}?;\", Map.of(\"user\", \
         \"anna b\", \"app\", \"shop\"), \"shop-1\", HexFormat.of().parseHex(\"{KEY}\"), 1795600019L)); }}\n}}"
    );
    let said = of_java(java, folder.path(), &main, &[], |text| text.replace("/ 60 * 60", "/ 50 * 50"));
    assert_eq!(said.trim(), format!("{sql}?\n/*{VECTOR}*/"));
}

/// Java 17 or newer, for a class in one file; a line that says so where there is none.
fn java() -> Option<Command> {
    let mut asked = Command::new("java");
    asked.arg("-version");
    if asked.output().is_ok_and(|output| output.status.success()) {
        return Some(Command::new("java"));
    }
    println!("not run: the guide's Java example; there is no java here");
    None
}

fn of_java(
    mut java: Command,
    folder: &Path,
    main: &str,
    arguments: &[&str],
    change: impl Fn(&str) -> String,
) -> String {
    let class = change(&blocks("java")[0]);
    let (class, _) = class.trim_end().rsplit_once('}').expect("the end of the class");
    let file = folder.join("MitsukeSign.java");
    fs::write(&file, format!("{class}\n{main}")).expect("it can be written");
    java.arg(file).args(arguments);
    run(java, b"").expect_success()
}

#[test]
fn statements_signed_in_python_are_signed_and_copies_of_them_are_forged() {
    let (sidecar, _folder) = signed("");
    let name = database();
    let url = sidecar.url(&name);
    psql(&url, "create table people (id int primary key, name text)").expect_success();
    let script = python_of_the_guide(
        r#"
current_user.set("見附 anna")
from sqlalchemy import text
with connection:
    connection.execute("insert into people values (%s, %s), (2, '50%%')", (1, "a'b"))
    connection.execute("select name from people where id = %(id)s -- 1", {"id": 1}, prepare=True).fetchall()
    connection.execute("select count(*) from people;").fetchall()
current_user.set("ben")
with engine.connect() as db:
    assert db.execute(text("select name from people where id = :id and name like '%'"), {"id": 2}).all() == [("50%",)]
engine.dispose()
"#,
    );
    python(&script, &url);
    let found = logged(&sidecar, "people", 5);
    let proofs: Vec<_> = found.iter().map(|record| (record.context, record.end_user.as_deref())).collect();
    let anna = (Some(Proof::Signed), Some("見附 anna"));
    let psql_ = (Some(Proof::Unsigned), Some("psql"));
    assert_eq!(proofs, [psql_, anna, anna, anna, (Some(Proof::Signed), Some("ben"))], "{found:#?}");
}

#[test]
fn a_copy_is_forged_an_old_one_stale_and_a_policy_may_insist() {
    let policies = tempfile::tempdir().expect("a temporary folder");
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
    for file in ["lists.yaml", "permits.yaml", "identity/forged-context.yaml", "identity/forged-context.cases.yaml"] {
        let to = policies.path().join(file);
        fs::create_dir_all(to.parent().expect("a folder")).expect("it can be made");
        fs::copy(built_in.join(file), to).expect("it can be copied");
    }
    let insists = "id: must-sign\ntitle: The statement is not signed\nwhy: w\nstatus: stable\nseverity: high\ntags: [attack.t1078]\n\
                   on: statement\nwhen: has(relations, 'public.vault') and (context <> 'signed' or end_user = 'mallory')\naction: deny\n";
    fs::write(policies.path().join("identity/must-sign.yaml"), insists).expect("it can be written");
    let (sidecar, _folder) = signed(&format!("[policies]\npath = \"{}\"\n", policies.path().display()));
    let name = database();
    let url = sidecar.url(&name);
    psql(&crate::support::server::direct(crate::support::server::shared(), &name), "create table vault (id int)")
        .expect_success();
    let script = python_of_the_guide(
        r#"
current_user.set("anna")
import psycopg
plain = psycopg.connect(URL, autocommit=True)
def told(sql):
    try:
        plain.execute(sql)
        return "done"
    except psycopg.errors.InsufficientPrivilege as error:
        return error.sqlstate
now = sign("select 1 from vault", {"user": "anna"}, NAME, KEY)
print(told(now))
print(told(now.replace("select 1", "select id")))
print(told(now.replace("anna", "ben")))
print(told(sign("select 1 from vault", {"user": "anna"}, NAME, KEY, time.time() - 900)))
print(told(sign("select 1 from vault", {"user": "anna"}, "shop-2", KEY)))
print(told(sign("select 1 from vault", {"user": "mallory"}, NAME, KEY)))
print(told("select 1 from vault"))
"#,
    );
    assert_eq!(python(&script, &url), "done\n42501\n42501\n42501\n42501\n42501\n42501\n");
    let found = logged(&sidecar, "vault", 7);
    use Proof::{Forged, Signed, Stale, Unsigned};
    let proofs: Vec<_> = found.iter().filter_map(|record| record.context).collect();
    assert_eq!(proofs, [Signed, Forged, Forged, Stale, Forged, Signed, Unsigned]);
    assert_eq!(found.iter().filter(|record| record.outcome == Some(Outcome::Denied)).count(), 6);
    assert_eq!(
        found[1].end_user.as_deref(),
        None,
        "a forged comment names nobody, and psycopg has no application_name"
    );
    let findings = wait_for("the finding", || {
        let found = sidecar.records::<Finding>();
        found.iter().any(|finding| *finding.policy == *"forged-context").then_some(found)
    });
    let forged = findings.iter().find(|finding| *finding.policy == *"forged-context").expect("one");
    assert!(forged.explanation.as_deref().is_some_and(|said| !said.contains("mitsuke_mac")), "{forged:?}");
}

#[test]
fn statements_signed_in_java_are_signed() {
    let Some(mut java) = java() else { return };
    let Some(driver) =
        test_programs().map(|folder| folder.join("usr/share/java/postgresql.jar")).filter(|jar| jar.exists())
    else {
        println!("not run: JDBC; tests/run.sh unpacks its driver where there is apt-get");
        return;
    };
    let (sidecar, _folder) = signed("");
    let name = database();
    psql(&sidecar.url(&name), "create table paid (id int)").expect_success();
    let main = format!(
        r#"public static void main(String[] given) throws Exception {{
        byte[] key = HexFormat.of().parseHex("{KEY}");
        try (var db = java.sql.DriverManager.getConnection(given[0])) {{
            for (String sql : new String[] {{ "insert into paid values (?), (?);", "select id from paid where id = ? and 'a?' <> '?'" }}) {{
                String signed = sign(sql, Map.of("user", "anna b", "route", "/pay?x"), "shop-1", key, System.currentTimeMillis() / 1000);
                try (var statement = db.prepareStatement(signed)) {{
                    statement.setInt(1, 7);
                    if (sql.startsWith("insert")) statement.setInt(2, 8);
                    statement.execute();
                }}
            }}
        }}
    }}
}}"#
    );
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("jdbc:{}?user=postgres", sidecar.url(&name).replace("postgres@", ""));
    java.arg("-cp").arg(driver);
    of_java(java, folder.path(), &main, &[&url], str::to_owned);
    let found = logged(&sidecar, "paid", 3);
    let proofs: Vec<_> = found.iter().map(|record| (record.context, record.end_user.as_deref())).collect();
    assert_eq!(proofs[1..], [(Some(Proof::Signed), Some("anna b")); 2], "{found:#?}");
}

/// A file of keys that is faulty is told with its line, at the start and by `check`; a key added and taken away counts from SIGHUP on.
#[test]
fn keys_are_read_again_and_a_faulty_file_is_told_with_its_place() {
    let (sidecar, folder) = signed("");
    let name = database();
    let url = sidecar.url(&name);
    psql(&url, "create table rotated (id int)").expect_success();
    let keys = folder.path().join("comment.keys");
    fs::write(&keys, format!("shop-1 {KEY}\nshop-2 {KEY}0\n")).expect("it can be written");
    let checked = sidecar.command(["check", "--offline"]);
    assert_eq!(checked.output.status.code(), Some(2));
    assert!(checked.err().contains("comment.keys:2: a key is 32 to 256 hexadecimal digits"), "{}", checked.err());
    assert!(!checked.err().contains(&KEY[..8]), "{}", checked.err());
    fs::write(&keys, format!("shop-2 {KEY}\n")).expect("it can be written");
    let before = sidecar.errors().len();
    sidecar.hang_up();
    wait_for("the reload", || (sidecar.errors().len() > before).then_some(()));
    let script = python_of_the_guide(
        "current_user.set('anna')\nwith psycopg.connect(URL) as db:\n    for name in ['shop-1', 'shop-2']:\n        \
         db.execute(sign('select id from rotated', {'user': 'anna'}, name, KEY))",
    );
    python(&script, &url);
    let found = logged(&sidecar, "rotated", 3);
    let proofs: Vec<_> = found.iter().filter_map(|record| record.context).collect();
    assert_eq!(proofs, [Proof::Unsigned, Proof::Forged, Proof::Signed]);
}
