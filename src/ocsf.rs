//! Records as events of the Open Cybersecurity Schema Framework, version 1.3: what security data lakes and SIEMs read without a parser of their own.
//!
//! In: a finding, or a statement. Out: a Detection Finding (class 2004), or a Datastore Activity (class 6005), as JSON. PURE. What
//! is not known is left out; what the schema has no place for, counts of rows and people above all, stands under `mitsuke`, an extension
//! that `metadata.extensions` names. Holds what the record holds, and no more.

use serde_json::{Value, json};

use crate::record::{Finding, Kind, Outcome, Severity, Statement, Text};

/// The schema's version.
const VERSION: &str = "1.3.0";
/// Of extensions that nobody has registered (ocsf-schema, extensions.md).
const EXTENSION_UID: &str = "999";

/// Detection Finding: events/findings/detection_finding.json.
pub fn finding(finding: &Finding, held_back: u64) -> Value {
    let severity_id = match finding.severity.unwrap_or(Severity::Low) {
        Severity::Low => 2,
        Severity::Medium => 3,
        Severity::High => 4,
        Severity::Critical => 5,
    };
    let time = finding.common.at.0 / 1_000;
    let explanation = one_line(finding.explanation.as_deref().unwrap_or(&finding.title));
    known(json!({
        "category_uid": 2, "category_name": "Findings", "class_uid": 2004, "class_name": "Detection Finding",
        "activity_id": 1, "activity_name": "Create", "type_uid": 200_401, "type_name": "Detection Finding: Create",
        "time": time, "severity_id": severity_id, "status_id": 1, "is_alert": true, "message": explanation,
        "metadata": metadata("findings", &finding.finding_id),
        "finding_info": {
            "uid": finding.finding_id, "title": finding.title, "desc": explanation, "created_time": time,
            "types": finding.tags, "analytic": { "type_id": 1, "type": "Rule", "uid": finding.policy, "name": finding.title },
        },
        "resources": [{ "type": "database", "name": finding.database, "uid": finding.common.writer }],
        "evidences": [{
            "actor": actor(finding.db_user.as_ref(), finding.common.session_id.as_ref(), finding.application_name.as_ref()),
            "src_endpoint": endpoint(finding.client_addr.as_ref()),
        }],
        "mitsuke": {
            "action": finding.action, "observed": finding.observed, "threshold": finding.threshold, "measure": finding.measure,
            "within_us": finding.within_us, "role": finding.role, "end_user": finding.end_user,
            "application_name": finding.application_name, "statements": finding.evidence, "held_back": held_back,
        },
    }))
}

/// Datastore Activity: events/application/datastore_activity.json.
pub fn activity(statement: &Statement) -> Value {
    let (activity_id, activity) = match statement.kind {
        Some(Kind::Select | Kind::CopyOut | Kind::Fetch) => (1, "Read"),
        Some(Kind::Update) => (2, "Update"),
        Some(Kind::Insert | Kind::Merge | Kind::CopyIn) => (5, "Write"),
        Some(Kind::Delete) => (7, "Delete"),
        Some(kind) => (99, kind.as_str()),
        None => (0, "Unknown"),
    };
    let (status_id, status) = match statement.outcome {
        Some(Outcome::Ok) => (1, "Success"),
        Some(Outcome::Unknown) | None => (0, "Unknown"),
        Some(_) => (2, "Failure"),
    };
    let start = statement.common.at.0 / 1_000;
    let end = statement.ended_at.map(|at| at.0 / 1_000);
    let uid = Text::from(format!("{}-{}", statement.common.writer, statement.common.seq));
    known(json!({
        "category_uid": 6, "category_name": "Application Activity", "class_uid": 6005, "class_name": "Datastore Activity",
        "activity_id": activity_id, "activity_name": activity, "type_uid": 600_500 + activity_id,
        "type_name": format!("Datastore Activity: {activity}"),
        "time": end.unwrap_or(start), "start_time": start, "end_time": end,
        "duration": statement.duration_us.map(|micros| micros / 1_000),
        "severity_id": 1, "severity": "Informational", "status_id": status_id, "status": status,
        "status_code": statement.sqlstate, "status_detail": statement.outcome,
        "metadata": metadata("statements", &uid),
        "actor": actor(statement.db_user.as_ref(), statement.common.session_id.as_ref(), statement.application_name.as_ref()),
        "src_endpoint": endpoint(statement.client_addr.as_ref()),
        "type_id": 1, "type": "Database",
        "database": { "name": statement.database.as_deref().unwrap_or("unknown"), "type_id": 1, "type": "Relational" },
        "table": statement.relations.as_deref().and_then(|relations| relations.first()).map(|name| json!({ "name": name })),
        "query_info": { "query_string": statement.query.as_deref().unwrap_or_default(), "uid": statement.fingerprint },
        "mitsuke": counts(statement),
    }))
}

/// What the schema has no place for.
fn counts(statement: &Statement) -> Value {
    json!({
        "rows_returned": statement.rows_returned, "rows_affected": statement.rows_affected,
        "bytes_out": statement.bytes_out, "bytes_in": statement.bytes_in,
        "personal_rows": statement.personal_rows, "persons": statement.persons, "level": statement.level,
        "relations": statement.relations, "columns": statement.columns, "functions": statement.functions,
        "certainty": statement.certainty, "role": statement.role, "end_user": statement.end_user,
        "context": statement.context, "permit": statement.permit, "policies": statement.policies,
    })
}

fn metadata(log: &str, uid: &Text) -> Value {
    json!({
        "version": VERSION,
        "product": { "name": "Mitsuke", "vendor_name": "Mitsuke", "version": env!("CARGO_PKG_VERSION") },
        "extensions": [{ "name": "mitsuke", "uid": EXTENSION_UID, "version": env!("CARGO_PKG_VERSION") }],
        "log_name": log, "uid": uid,
    })
}

fn actor(user: Option<&Text>, session: Option<&Text>, application: Option<&Text>) -> Value {
    json!({ "user": { "name": user.map_or("unknown", |user| user) }, "session": { "uid": session }, "app_name": application })
}

/// A unix socket has a name, and no address.
fn endpoint(address: Option<&Text>) -> Value {
    match address {
        Some(address) if address.parse::<std::net::IpAddr>().is_ok() => json!({ "ip": address }),
        Some(name) => json!({ "name": name }),
        None => json!({ "name": "unknown" }),
    }
}

/// Without what is null, and what is empty then.
fn known(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(name, value)| (name, known(value)));
            Value::Object(fields.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(known).filter(|item| !is_empty(item)).collect()),
        other => other,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    /// `"requirement": "required"` of ocsf-schema: base_event.json, metadata.json, extension.json, and by class.
    const BASE: [&str; 10] = [
        "activity_id",
        "category_uid",
        "class_uid",
        "metadata",
        "metadata.version",
        "metadata.product",
        "metadata.extensions.0.version",
        "severity_id",
        "time",
        "type_uid",
    ];
    /// finding.json, finding_info.json, analytic.json.
    const FINDING: [&str; 4] =
        ["finding_info", "finding_info.uid", "finding_info.title", "finding_info.analytic.type_id"];
    /// datastore_activity.json, query_info.json, database.json.
    const ACTIVITY: [&str; 4] = ["actor", "src_endpoint", "query_info.query_string", "database.type_id"];
    /// `"at_least_one"` of the objects that are there: _entity.json, actor.json, user.json, network_endpoint.json, evidences.json.
    const AT_LEAST_ONE: [(&str, &[&str]); 9] = [
        ("metadata.product", &["name", "uid"]),
        ("finding_info.analytic", &["name", "uid"]),
        ("evidences.0", &["actor", "src_endpoint", "query", "database"]),
        ("evidences.0.actor", &["user", "session", "app_name"]),
        ("evidences.0.src_endpoint", &["ip", "name", "hostname"]),
        ("actor", &["user", "session", "app_name"]),
        ("actor.user", &["name", "uid", "account"]),
        ("src_endpoint", &["ip", "name", "hostname"]),
        ("table", &["name", "uid"]),
    ];

    fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
        path.split('.').fold(value, |value, part| match part.parse::<usize>() {
            Ok(index) => &value[index],
            Err(_) => &value[part],
        })
    }

    fn holds(event: &Value, required: &[&str]) {
        for path in BASE.iter().chain(required) {
            assert!(!at(event, path).is_null(), "{path} of {event}");
        }
        for (path, one_of) in AT_LEAST_ONE {
            let object = at(event, path);
            assert!(object.is_null() || one_of.iter().any(|name| !object[name].is_null()), "{path} of {event}");
        }
        let (class, activity) =
            (event["class_uid"].as_u64().expect("a number"), event["activity_id"].as_u64().expect("a number"));
        assert_eq!(event["type_uid"].as_u64(), Some(class * 100 + activity));
        assert!(!event.to_string().contains("null"), "{event}");
    }

    fn filled() -> Finding {
        Finding {
            finding_id: "0199".into(),
            policy: "bulk".into(),
            title: "Many".into(),
            severity: Some(Severity::High),
            observed: Some(20_000),
            measure: Some("persons".into()),
            db_user: Some("clerk".into()),
            client_addr: Some("127.0.0.66".into()),
            ..Finding::default()
        }
    }

    #[test]
    fn a_detection_finding_has_what_the_schema_requires() {
        for finding_ in [filled(), Finding::default(), Finding { client_addr: Some("local".into()), ..filled() }] {
            holds(&finding(&finding_, 0), &FINDING);
        }
        let event = finding(&filled(), 3);
        assert_eq!((event["severity_id"].as_u64(), event["mitsuke"]["observed"].as_u64()), (Some(4), Some(20_000)));
        assert_eq!(event["evidences"][0]["src_endpoint"]["ip"].as_str(), Some("127.0.0.66"));
        assert_eq!(event["mitsuke"]["held_back"].as_u64(), Some(3));
    }

    #[test]
    fn a_datastore_activity_has_what_the_schema_requires_and_the_rows_beside_it() {
        let mut statement = Statement {
            kind: Some(Kind::CopyOut),
            outcome: Some(Outcome::Cut),
            query: Some("copy shop.customers to stdout".into()),
            relations: Some(["shop.customers".into(), "shop.cards".into()].into()),
            rows_returned: Some(1_000),
            persons: Some(1_000),
            ended_at: Some(Timestamp(5_000_000)),
            client_addr: Some("local".into()),
            db_user: Some("clerk".into()),
            ..Statement::default()
        };
        statement.common.writer = "db-1".into();
        statement.common.seq = 812;
        for statement in [statement.clone(), Statement::default()] {
            let event = activity(&statement);
            holds(&event, &ACTIVITY);
            assert!(["database", "databucket", "table"].iter().any(|name| !event[name].is_null()), "{event}");
        }
        let event = activity(&statement);
        assert_eq!((event["activity_name"].as_str(), event["status"].as_str()), (Some("Read"), Some("Failure")));
        assert_eq!((event["time"].as_u64(), event["table"]["name"].as_str()), (Some(5_000), Some("shop.customers")));
        assert_eq!(
            (event["mitsuke"]["rows_returned"].as_u64(), event["mitsuke"]["persons"].as_u64()),
            (Some(1_000), Some(1_000))
        );
        assert_eq!(event["metadata"]["uid"].as_str(), Some("db-1-812"));
        let granted = activity(&Statement { kind: Some(Kind::Grant), ..Statement::default() });
        assert_eq!((granted["activity_id"].as_u64(), granted["activity_name"].as_str()), (Some(99), Some("grant")));
    }
}
