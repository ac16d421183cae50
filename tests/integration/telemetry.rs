//! `/metrics`, `/healthz` and `/readyz`: right figures that Prometheus takes, an honest word on whether clients should come, and nobody who
//! can hold the little server up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::support::programs::psql;
use crate::support::prometheus::{Prometheus, get, promtool};
use crate::support::receiver::Receiver;
use crate::support::server::{self, SUPERUSER, database, shared};
use crate::support::sidecar::{Sidecar, free_port, mitsuke};
use crate::support::wait_for;
use crate::support::wire::{self, Client};

fn listening(more: &str) -> (Sidecar, String) {
    let address = format!("127.0.0.1:{}", free_port());
    let sidecar = Sidecar::start(&format!("[telemetry]\nlisten = \"{address}\"\n{more}"));
    (sidecar, address)
}

/// The value of a series, labels and all as it is written.
fn value(address: &str, series: &str) -> Option<f64> {
    let (status, page) = get(&format!("http://{address}/metrics"));
    assert_eq!(status, 200, "{page}");
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '))?;
    Some(line.parse().expect("a number"))
}

fn ready(address: &str) -> (u16, String) {
    get(&format!("http://{address}/readyz"))
}

fn rules() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus")
}

#[test]
fn the_figures_are_those_of_what_passed_and_prometheus_takes_them() {
    let (sidecar, address) = listening("");
    let name = database();
    for _ in 0..3 {
        psql(&sidecar.url(&name), "select 'alice@example.com'").expect_success();
    }
    assert!(!psql(&sidecar.url(&name), "select 1/0").output.status.success());
    let open = Client::session(&sidecar.address(), SUPERUSER, &name);
    wait_for("the failure", || {
        value(&address, "mitsuke_statements_total{kind=\"select\",outcome=\"error\"}").filter(|count| *count == 1.0)
    });
    let told = |series: &str| value(&address, series).unwrap_or_else(|| panic!("no {series}"));
    assert_eq!(told("mitsuke_statements_total{kind=\"select\",outcome=\"ok\"}"), 3.0);
    assert_eq!(told("mitsuke_statement_duration_seconds_count"), 4.0);
    assert_eq!(told("mitsuke_statement_duration_seconds_bucket{le=\"+Inf\"}"), 4.0);
    assert_eq!(told("mitsuke_rows_total{what=\"returned\"}"), 3.0);
    wait_for("the ends of sessions", || {
        (told("mitsuke_sessions_ended_total{outcome=\"closed\"}") == 4.0).then_some(())
    });
    assert_eq!((told("mitsuke_sessions"), told("mitsuke_sessions_max")), (1.0, 5000.0));
    assert!(told("mitsuke_policies") > 30.0 && told("process_open_fds") > 5.0);
    assert_eq!((told("mitsuke_upstream_up"), told("mitsuke_log_unwritable")), (1.0, 0.0));
    drop(open);

    let (_, page) = get(&format!("http://{address}/metrics"));
    let checked = promtool(&["check", "metrics"], &page);
    assert_eq!((checked.output.status.code(), checked.err().as_str()), (Some(0), ""), "{}", checked.out());
    for secret in ["alice", SUPERUSER, &name, "127.0.0.1"] {
        assert!(!page.contains(secret), "{secret} is in it:\n{page}");
    }
}

#[test]
fn prometheus_scrapes_it_and_the_rules_in_deploy_are_good_and_speak_of_figures_that_are_there() {
    let file = rules().join("mitsuke.rules.yaml");
    promtool(&["check", "rules", file.to_str().unwrap()], "").expect_success();
    promtool(&["test", "rules", rules().join("mitsuke.rules.test.yaml").to_str().unwrap()], "").expect_success();

    let receiver = Receiver::start("http", &[]);
    let (sidecar, address) =
        listening(&format!("[[alert]]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\n", receiver.port));
    let prometheus = Prometheus::scraping(&address, &file);
    wait_for("a scrape", || {
        let asked = prometheus.ask("/api/v1/query?query=mitsuke_ready");
        asked.contains(",\"1\"]").then_some(())
    });
    // OpenMetrics is what it asked for, and took.
    let targets = prometheus.ask("/api/v1/targets");
    assert!(targets.contains("\"health\":\"up\"") && targets.contains("\"lastError\":\"\""), "{targets}");
    wait_for("the rules", || {
        let rules = prometheus.ask("/api/v1/rules");
        assert!(!rules.contains("\"health\":\"err\""), "{rules}");
        (rules.matches("\"health\":\"ok\"").count() == 14).then_some(())
    });
    let text = std::fs::read_to_string(&file).unwrap();
    let (_, page) = get(&format!("http://{address}/metrics"));
    let named = text.split(|c: char| !c.is_ascii_lowercase() && c != '_').filter(|word| word.starts_with("mitsuke_"));
    let mut count = 0;
    // Of a log in a folder and a sidecar alone there is no store to be away.
    for name in named.filter(|name| !name.starts_with("mitsuke_store") && !name.starts_with("mitsuke_fleet")) {
        assert!(page.contains(&format!("\n{name}")), "{name} is no figure:\n{page}");
        count += 1;
    }
    assert!(count > 12, "{count}");
    drop(sidecar);
}

#[test]
fn each_channel_tells_what_it_delivered_what_waits_and_what_was_refused() {
    let receiver = Receiver::start("http", &[]);
    let (sidecar, address) = listening(&format!(
        "[[alert]]\nkind = \"webhook\"\nthrottle = \"1s\"\nurl = \"http://127.0.0.1:{}/\"\n[[alert]]\nkind = \"stdout\"\n",
        receiver.port
    ));
    let name = database();
    let told = |what: &str, kind: &str| {
        let (_, page) = get(&format!("http://{address}/metrics"));
        let line = page.lines().find(|line| line.starts_with(&format!("{what}{{kind=\"{kind}\"")));
        line.and_then(|line| line.rsplit_once(' ')).map(|(_, value)| value.parse::<f64>().unwrap())
    };
    // The policy tells of each user once an hour.
    let find = |user: &str, made: &str| {
        let sql = format!("create role {made} superuser login");
        psql(&sidecar.url_as(user, &name), &sql).expect_success();
    };
    receiver.behave("away", true);
    find(SUPERUSER, "telemetry_one");
    wait_for("a failed attempt", || {
        told("mitsuke_alert_attempts_failed_total", "webhook").filter(|count| *count > 0.0)
    });
    assert!(told("mitsuke_alerts_waiting", "webhook").unwrap() > 0.0);
    assert_eq!(told("mitsuke_alert_channel_up", "webhook"), Some(0.0));
    wait_for("standard output", || told("mitsuke_alerts_delivered_total", "stdout").filter(|count| *count > 0.0));
    receiver.behave("refuse", true);
    receiver.behave("away", false);
    wait_for("a dead letter", || told("mitsuke_alert_dead_letters", "webhook").filter(|count| *count > 0.0));
    receiver.behave("refuse", false);
    find("telemetry_one", "telemetry_two");
    wait_for("its delivery", || told("mitsuke_alerts_delivered_total", "webhook").filter(|count| *count > 0.0));
    wait_for("nothing waits", || (told("mitsuke_alerts_waiting", "webhook") == Some(0.0)).then_some(()));
    assert_eq!(told("mitsuke_alert_channel_up", "webhook"), Some(1.0));
    let critical = value(&address, "mitsuke_findings_total{severity=\"critical\",action=\"alert\"}");
    let high = value(&address, "mitsuke_findings_total{severity=\"high\",action=\"alert\"}");
    assert!(critical.unwrap() + high.unwrap() > 0.0);
}

#[test]
fn it_is_not_ready_while_the_server_is_away_and_says_so() {
    let own = server::start(&[]);
    let address = format!("127.0.0.1:{}", free_port());
    let _sidecar = Sidecar::before(&own, &format!("[telemetry]\nlisten = \"{address}\"\n"));
    wait_for("readiness", || (ready(&address) == (200, "ready\n".to_owned())).then_some(()));
    drop(own);
    let (status, why) = wait_for("the server's end", || Some(ready(&address)).filter(|(status, _)| *status != 200));
    assert_eq!(status, 503);
    assert!(why.starts_with("not ready: the server at 127.0.0.1:") && why.contains("cannot be reached"), "{why}");
    assert_eq!(value(&address, "mitsuke_ready"), Some(0.0));
    assert_eq!(
        get(&format!("http://{address}/healthz")),
        (200, "alive\n".to_owned()),
        "starting it anew would not help"
    );
}

#[test]
fn while_it_stops_it_is_alive_and_not_ready() {
    let (mut sidecar, address) = listening("");
    let mut client = Client::session(&sidecar.address(), SUPERUSER, &database());
    wait_for("readiness", || (ready(&address).0 == 200).then_some(()));
    client.say(&wire::query("select pg_sleep(3)"));
    wait_for("the statement", || {
        let running = "select count(*) from pg_stat_activity where query = 'select pg_sleep(3)' and state = 'active'";
        (psql(&server::direct(shared(), "postgres"), running).expect_success().trim() != "0").then_some(())
    });
    let stopping = std::thread::spawn(move || sidecar.stop());
    let (status, why) = wait_for("the stop", || Some(ready(&address)).filter(|(status, _)| *status != 200));
    assert_eq!((status, why.contains("it is stopping")), (503, true), "{why}");
    assert_eq!(get(&format!("http://{address}/healthz")).0, 200);
    stopping.join().unwrap();
    assert!(TcpStream::connect(&address).is_err(), "nobody listens any more");
}

#[test]
fn it_is_not_ready_while_its_journal_cannot_be_written_and_again_when_it_can() {
    let (sidecar, address) = listening("");
    wait_for("readiness", || (ready(&address).0 == 200).then_some(()));
    let journal = std::fs::read_dir(sidecar.log().join("journal")).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(journal.join("intake"), journal.join("away")).unwrap();
    let (to, name) = (sidecar.address(), database());
    // A segment has 16 MiB; where there is no other, the rest waits.
    let writing = std::thread::spawn(move || {
        let mut client = Client::session(&to, SUPERUSER, &name);
        for number in 1..=20 {
            client.say(&wire::query(&format!("select length('{}')", "x".repeat(1 << 20))));
            client.hear_until_ready(number);
        }
    });
    let (status, why) =
        wait_for("the end of the segment", || Some(ready(&address)).filter(|(status, _)| *status != 200));
    assert_eq!(status, 503);
    assert!(why.contains("the log cannot be written") && why.contains("clients wait"), "{why}");
    assert_eq!(value(&address, "mitsuke_log_unwritable"), Some(1.0));
    std::fs::rename(journal.join("away"), journal.join("intake")).unwrap();
    writing.join().unwrap();
    assert_eq!(ready(&address).0, 200);
}

/// Writes this, and hears until the other side closes or `within` is over.
fn spoken(address: &str, bytes: &[u8], within: Duration) -> Option<String> {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(within)).unwrap();
    // It may have heard enough before everything is written.
    let _ = stream.write_all(bytes);
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => None,
        _ => Some(String::from_utf8_lossy(&heard).into_owned()),
    }
}

#[test]
fn nonsense_slowness_and_a_crowd_keep_nobody_from_an_answer() {
    let (_sidecar, address) = listening("");
    wait_for("readiness", || (ready(&address).0 == 200).then_some(()));
    let soon = Duration::from_secs(30);
    let status = |bytes: &[u8]| spoken(&address, bytes, soon).expect("an end").lines().next().unwrap_or("").to_owned();
    assert_eq!(status(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 404 Not Found");
    let refused = spoken(&address, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", soon).unwrap();
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET, HEAD"), "{refused}");
    let head = spoken(&address, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", soon).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n") && !head.contains("# TYPE"), "{head}");
    let openmetrics =
        spoken(&address, b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n", soon);
    let openmetrics = openmetrics.unwrap();
    assert!(openmetrics.ends_with("# EOF\n"));
    // A bound for each bucket, and the last without one.
    let (bounds, last) =
        (openmetrics.matches("_bucket{le=").count(), openmetrics.matches("_bucket{le=\"+Inf\"}").count());
    assert_eq!((bounds, last), (mitsuke::figures::DURATION_BOUNDS_US.len() + 1, 1), "{openmetrics}");
    assert_eq!(status(b"nonsense\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    let huge = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1 << 20));
    assert!(!status(huge.as_bytes()).contains("200"));
    let many: String = (0..10_000).map(|number| format!("x-{number}: y\r\n")).collect();
    assert!(!status(format!("GET /metrics HTTP/1.1\r\n{many}\r\n").as_bytes()).contains("200"));

    // A head that never ends is given up, and a crowd of them keeps nobody out.
    let began = Instant::now();
    let mut crowd: Vec<TcpStream> = (0..150).map(|_| TcpStream::connect(&address).unwrap()).collect();
    for stream in &mut crowd {
        // Those that had to make room are closed already.
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ");
    }
    assert_eq!(ready(&address).0, 200);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for mut stream in crowd {
        stream.set_read_timeout(Some(soon)).unwrap();
        let closed = stream.read_to_end(&mut Vec::new());
        assert!(!matches!(&closed, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{closed:?}");
    }
}

#[test]
fn an_address_that_is_taken_is_told_with_the_key_to_change() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut command = mitsuke();
    command.current_dir(folder.path()).args(["run", "--listen", "127.0.0.1:0"]);
    command.env("MITSUKE_TELEMETRY__LISTEN", taken.local_addr().unwrap().to_string());
    let ran = crate::support::programs::run(command, b"");
    assert_eq!(ran.output.status.code(), Some(2), "{}", ran.err());
    assert!(ran.err().contains("for /metrics") && ran.err().contains("[telemetry].listen"), "{}", ran.err());
}
