//! What is proposed for a varied schema, and that it loads.

use std::path::Path;

use super::*;

fn column(name: &str, type_name: &str, values: &[String]) -> Column {
    let category = match type_name {
        "text" | "varchar" | "bpchar" => 'S',
        "bool" => 'B',
        "date" | "timestamptz" => 'D',
        "int4" | "int8" | "numeric" => 'N',
        "inet" => 'I',
        _ => 'U',
    };
    let mut column = Column { name: name.to_owned(), type_name: type_name.to_owned(), category, ..Column::default() };
    for value in values {
        column.tally.note(value, 2026);
    }
    column
}

fn table(name: &str, key: &[&str], columns: Vec<Column>) -> Table {
    let (schema, primary_key) = ("shop".to_owned(), key.iter().map(|key| (*key).to_owned()).collect());
    Table { schema, name: name.to_owned(), columns, primary_key, sampled: Sampled::Rows(200), ..Table::default() }
}

fn references(mut table: Table, column: &str, to: &str) -> Table {
    let (schema, referenced) = (table.schema.clone(), "id".to_owned());
    table.references.push(Reference { column: column.to_owned(), schema, table: to.to_owned(), referenced });
    table
}

fn many(value: impl Fn(u32) -> String) -> Vec<String> {
    (0..200).map(value).collect()
}

fn built_in() -> Existing {
    Existing { classification: Classification::built_in(), is_written: false }
}

fn shop() -> Vec<Table> {
    let mails = many(|n| format!("p{n}@example.com"));
    let customers = vec![
        column("id", "int4", &[]),
        column("name", "text", &[]),
        column("email", "text", &mails),
        column("email_sent_at", "timestamptz", &[]),
        column("phone_verified", "bool", &[]),
        column(
            "memo",
            "text",
            &many(|n| if n % 8 == 0 { format!("call 090-1234-{n:04} first") } else { format!("memo {n}") }),
        ),
    ];
    let orders = vec![
        column("id", "int4", &[]),
        column("clerk_id", "int4", &[]),
        column("customer_id", "int4", &[]),
        column("shipping_address", "text", &[]),
        column("total", "int4", &[]),
    ];
    let staff = vec![column("id", "int4", &[]), column("name", "text", &[]), column("email", "text", &mails)];
    let mail = vec![
        column("id", "int4", &[]),
        column("mail", "text", &many(|n| ["sent", "queued", "failed"][(n % 3) as usize].to_owned())),
    ];
    let venues = vec![
        column("id", "int4", &[]),
        column("address", "text", &[]),
        column("phone", "text", &many(|n| format!("03-1234-{n:04}"))),
    ];
    vec![
        table("customers", &["id"], customers),
        references(references(table("orders", &["id"], orders), "clerk_id", "staff"), "customer_id", "customers"),
        table("staff", &["id"], staff),
        table("outbox", &["id"], mail),
        table("venues", &["id"], venues),
        table(
            "letters",
            &["id"],
            vec![column("id", "int4", &[]), column("customer_id", "int4", &[]), column("recipient_name", "text", &[])],
        ),
    ]
}

fn proposed<'a>(proposal: &'a Proposal, name: &str) -> &'a ForTable {
    proposal.tables.iter().find(|table| table.name == name).unwrap_or_else(|| panic!("{name}: {proposal:#?}"))
}

fn levels(table: &ForTable) -> Vec<(&str, &str)> {
    table.columns.iter().map(|column| (column.name.as_str(), column.level.as_str())).collect()
}

#[test]
fn columns_are_proposed_by_name_and_value_and_innocents_are_named_as_such() {
    let proposal = propose(&shop(), &built_in());
    assert_eq!(
        levels(proposed(&proposal, "customers")),
        [
            ("name", "personal"),
            ("email", "personal"),
            ("email_sent_at", "internal"),
            ("phone_verified", "internal"),
            ("memo", "personal")
        ]
    );
    let reasons: Vec<String> =
        proposed(&proposal, "customers").columns.iter().map(|column| column.reasons.join("; ")).collect();
    assert_eq!(reasons[1], "by its name: e-mail addresses; 200 of 200 different values look like e-mail addresses");
    assert_eq!(reasons[4], "25 of 200 different values hold telephone numbers");
    assert_eq!(levels(proposed(&proposal, "outbox")), [("mail", "internal")], "a few words, again and again");
    // The built-in names take any `*phone*` for personal; its address is no pattern of theirs.
    assert_eq!(levels(proposed(&proposal, "venues")), [("phone", "internal")]);
}

/// A name that sounds personal stays so where nothing shows that it is not.
#[test]
fn nothing_is_called_innocent_that_only_might_be() {
    let columns = vec![
        column("ssn", "int4", &[]),
        column("home_address_history", "text", &many(|n| format!("somewhere {n}"))),
        column("email_note", "text", &[]),
        column("my_number", "bpchar", &[]),
        column("email_count", "int4", &[]),
    ];
    let proposal = propose(&[table("things", &["ssn"], columns)], &built_in());
    assert_eq!(levels(proposed(&proposal, "things")), [("my_number", "sensitive"), ("email_count", "internal")]);
}

#[test]
fn the_subject_is_found_through_keys_and_where_none_is_declared_through_names() {
    let proposal = propose(&shop(), &built_in());
    let subject = |name: &str| proposed(&proposal, name).subject.clone().map(|(subject, _)| subject);
    assert_eq!(subject("customers").as_deref(), Some("id"));
    assert_eq!(subject("staff").as_deref(), Some("id"));
    assert_eq!(subject("orders").as_deref(), Some("customer_id"));
    assert_eq!(subject("letters").as_deref(), Some("customer_id"));
    assert_eq!(
        proposed(&proposal, "orders").notes,
        ["clerk_id leads to people as well (shop.staff): see that the right one is counted"]
    );
}

#[test]
fn what_is_proposed_loads_and_says_the_same_and_then_nothing_is_left_to_propose() {
    let mut tables = shop();
    tables.push(table(
        "Weird \"name\"",
        &[],
        vec![column("E-Mail # x", "text", &many(|n| format!("q{n}@example.com")))],
    ));
    tables.push(table("on", &["no"], vec![column("no", "int4", &[]), column("氏名", "text", &[])]));
    let proposal = propose(&tables, &built_in());
    let yaml = written::yaml(&proposal, "shop\ninjected: 1", &["internal", "personal", "sensitive"], true);
    let classification = Classification::parse(&yaml, Path::new("classification.yaml"))
        .unwrap_or_else(|faults| panic!("{faults}\n{yaml}"));
    for table in &proposal.tables {
        for column in &table.columns {
            let level = classification.level(&table.schema, &table.name, &column.name);
            assert_eq!(level, classification.level_named(column.level.as_str()), "{}.{}", table.name, column.name);
        }
        let subject = table.subject.as_ref().map(|(subject, _)| subject.as_str());
        assert_eq!(classification.subject(&table.schema, &table.name), subject, "{}", table.name);
    }
    // Tables to come are covered by the built-in names.
    assert_eq!(classification.level("any", "thing", "email"), classification.level_named("personal"));
    let again = propose(&tables, &Existing { classification, is_written: true });
    assert_eq!((again.tables, again.kept > 0), (Vec::new(), true));
}

#[test]
fn what_a_person_wrote_holds_and_only_the_difference_is_proposed() {
    let text = "levels: [internal, personal, secret]\ntables:\n  shop.customers: { subject: email, columns: { email: internal } }\n";
    let classification = Classification::parse(text, Path::new("c.yaml")).expect("faultless");
    let mut tables = shop();
    tables[0].columns[1].comment = Some("as the invoice has it @secret".to_owned());
    tables[0].columns.push(column("my_number", "bpchar", &[]));
    tables[2].columns[1].labels = vec!["personal".to_owned()];
    let proposal = propose(&tables, &Existing { classification, is_written: true });
    let customers = proposed(&proposal, "customers");
    assert_eq!(levels(customers), [("memo", "personal"), ("my_number", "sensitive")]);
    assert_eq!(customers.subject, None);
    assert_eq!(levels(proposed(&proposal, "staff")), [("email", "personal")]);
    let yaml = written::yaml(&proposal, "shop", &["internal", "personal", "secret"], false);
    let difference = Classification::parse(&yaml, Path::new("c.yaml")).expect("faultless");
    assert_eq!(
        difference.level("shop", "customers", "my_number"),
        difference.level_named("secret"),
        "its highest level"
    );
    assert_eq!(difference.level("any", "thing", "email"), None, "only the difference");
}

#[test]
fn an_empty_database_has_an_empty_proposal_that_loads() {
    for with_patterns in [true, false] {
        let yaml = written::yaml(&Proposal::default(), "empty", &["internal", "personal", "sensitive"], with_patterns);
        assert!(Classification::parse(&yaml, Path::new("c.yaml")).is_ok(), "{yaml}");
    }
}
