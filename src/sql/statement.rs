//! One statement: its kind, relations, functions and effects, from PostgreSQL's own grammar.
//!
//! In: the text of one statement. Out: its [`Analysis`]. A text that the grammar refuses keeps its kind, as far as its
//! first word tells, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use pg_query::protobuf::Token;
use pg_query::protobuf::summary_result::Context;

use super::merge::{self, Merge};
use super::modifying::Modifying;
use super::output::{self, Tree};
use super::returning::returning;
use super::tokens::{Lexeme, Tokens, comment_tags, ticket};
use super::{Analysis, Code, Doors, Effect, Output, RelationName, doors, fingerprint, flow, kept_setting};
use crate::record::{Kind, Parse, Text};

/// `sqlparser` sees no longer statements …
const TREE_TOKENS_MAX: usize = 20_000;
/// … nor more deeply nested ones …
const TREE_DEPTH_MAX: usize = 40;
/// … nor longer chains: its tree of `a or b or …` is as deep as the chain is long, and dropping it recurses.
const TREE_LINKS_MAX: usize = 250;
/// PREPARE in PREPARE, EXPLAIN in EXPLAIN: statements within statements are followed so deep.
const WITHIN_MAX: usize = 3;

/// Analyses one statement.
pub(super) fn analyze(text: &str) -> Analysis {
    within(text, 0)
}

/// Analyses what a statement has another server run; nothing where that is too deep.
pub(super) fn analyze_within(text: &str, depth: usize) -> Option<Analysis> {
    (depth <= WITHIN_MAX).then(|| within(text, depth))
}

fn within(text: &str, depth: usize) -> Analysis {
    let Some(tokens) = Tokens::scan(text) else { return refused(text) };
    let mut analysis = Analysis {
        kind: kind(&tokens),
        query: tokens.redacted().into(),
        collects: tokens.collect_rows() || tokens.may_recur(),
        code: Code::of_do(&tokens),
        operators: tokens.operators(),
        comment_tags: comment_tags(&tokens.comments),
        ticket: ticket(&tokens.comments),
        ..Analysis::unknown()
    };
    if analysis.collects {
        (analysis.chooses, analysis.casts_within) = (tokens.choose(), tokens.casts_within());
    }
    if tokens.all.is_empty() {
        analysis.output = Output::Nothing;
        return analysis;
    }
    let Ok(summary) = pg_query::summary(text, 0, -1) else {
        // The server will refuse it too. What stands in it may be anything: a password without its quotation marks.
        analysis.query = first_words(&tokens).into();
        return analysis;
    };
    analysis.parse = Parse::Summary;
    relations(&summary, &tokens, &mut analysis);
    if analysis.kind == Kind::Ddl && tokens.word(0) == "alter" {
        analysis.functions = flow::computing(&tokens);
    }
    analysis.fingerprint = fingerprint::of(&tokens, [&analysis.reads, &analysis.writes]);
    analysis.effects = effects(&tokens, analysis.kind, &summary.statement_types);
    analysis.shows_setting = shows_setting(&tokens, &analysis);
    let tree = Tree::new(&tokens, within_limits(&tokens));
    let writes_within = tokens.word(0) == "with" && !analysis.writes.is_empty() && tree.is_safe();
    let modifying = writes_within.then(|| Modifying::of(text)).flatten();
    analysis.flows = match &modifying {
        Some(modifying) => modifying.flows.clone(),
        None => flow::of(&tokens, text, &analysis, &tree),
    };
    let is_door = matches!(analysis.kind, Kind::Other | Kind::CopyIn) || tokens.word(0) == "create";
    if !analysis.functions.is_empty() || is_door {
        analysis.doors = Doors::of(&tokens, &analysis.functions, depth);
        analysis.flows.extend(analysis.doors.flows(&analysis.functions, &tree));
    }
    if let Some(name) = executed_into(&tokens) {
        analysis.effects.push(Effect::Execute { name });
    }
    let inner = (depth < WITHIN_MAX).then(|| inner(&tokens)).flatten().map(|text| within(text, depth + 1));
    analysis.named = named(&tokens, &analysis.reads);
    analysis.times_called = called(&tokens, &analysis.functions);
    if merge::is_in(&tokens) {
        merge(&mut analysis, &tokens, text, inner.as_ref(), modifying.as_ref());
    }
    finish(&mut analysis, &tokens, &tree, inner, &summary.cte_names, modifying.as_ref());
    analysis
}

/// Fills what the summary of a MERGE lacks. One that cannot be followed may read whatever it names.
fn merge(
    analysis: &mut Analysis,
    tokens: &Tokens<'_>,
    text: &str,
    inner: Option<&Analysis>,
    modifying: Option<&Modifying>,
) {
    let mut take = |reads: &mut dyn Iterator<Item = RelationName>, functions: &mut dyn Iterator<Item = Text>| {
        let reads: BTreeSet<RelationName> = analysis.reads.drain(..).chain(reads).collect();
        let functions: BTreeSet<Text> = analysis.functions.drain(..).chain(functions).collect();
        analysis.reads = reads.into_iter().collect();
        analysis.functions = functions.into_iter().collect();
    };
    if let Some(inner) = inner {
        take(&mut inner.reads.iter().cloned(), &mut inner.functions.iter().cloned());
        analysis.code.clone_from(&inner.code);
        return;
    }
    let mut alone = None;
    if let Some(modifying) = modifying {
        take(&mut modifying.reads.iter().cloned(), &mut modifying.functions.iter().cloned());
    } else {
        let followed = analysis.kind == Kind::Merge && within_limits(tokens);
        let Some(mut merge) = followed.then(|| Merge::of(text)).flatten() else {
            analysis.code = Some(Code::of(text));
            return;
        };
        take(&mut merge.reads.iter().cloned(), &mut merge.functions.iter().cloned());
        if let [flow] = &mut analysis.flows[..] {
            flow.columns = merge.filled.take();
        }
        alone = Some(merge);
    }
    let merge = alone.as_ref().or(modifying.and_then(|modifying| modifying.merge.as_ref()));
    if let Some(returned) = merge.and_then(|merge| merge.returned.clone()) {
        analysis.parse = Parse::Full;
        analysis.output = if returned.is_empty() { Output::Nothing } else { Output::Columns(returned) };
    }
}

/// Fills what needs the statement within, or the tree.
fn finish(
    analysis: &mut Analysis,
    tokens: &Tokens<'_>,
    whole: &Tree<'_>,
    inner: Option<Analysis>,
    ctes: &[String],
    modifying: Option<&Modifying>,
) {
    let words = (tokens.word(0), tokens.word(1));
    match (words.0.as_str(), inner) {
        ("prepare", Some(inner)) if words.1 != "transaction" => {
            analysis.reads.clear();
            analysis.writes.clear();
            analysis.functions.clear();
            analysis.code = None;
            analysis.output = Output::Nothing;
            analysis.parse = inner.parse;
            analysis.effects.push(Effect::Prepare { name: words.1.into(), inner: Box::new(inner) });
        }
        ("declare", Some(inner)) => {
            analysis.output = Output::Nothing;
            analysis.parse = inner.parse;
            let mut options = tokens.all.windows(2).take_while(|pair| pair[0].name() != "for");
            let holds = options.any(|pair| pair[0].name() == "with" && pair[1].name() == "hold");
            analysis.effects.push(Effect::Declare { name: words.1.into(), inner: Box::new(inner), holds });
        }
        // What EXPLAIN returns is a plan: estimates, and with ANALYZE counts.
        ("explain", Some(inner)) => {
            analysis.kind = inner.kind;
            analysis.output = Output::Nothing;
            analysis.parse = inner.parse;
            if executes(tokens) {
                analysis.effects.extend(inner.effects);
                analysis.flows = inner.flows;
            }
        }
        ("copy", Some(inner)) if analysis.kind == Kind::CopyOut => {
            analysis.output = inner.output;
            analysis.parse = inner.parse;
            analysis.single = inner.single;
            analysis.collects = inner.collects;
            analysis.joined = inner.joined;
            analysis.named = inner.named;
            analysis.flows.extend(inner.flows);
        }
        ("create" | "select" | "with", _) if analysis.kind == Kind::Ddl => {
            analysis.output = Output::Nothing;
            analysis.parse = Parse::Full;
        }
        _ => match analysis.kind {
            Kind::CopyOut => {
                analysis.parse = Parse::Full;
                analysis.single = true;
                analysis.output = copied_columns(tokens, analysis);
            }
            Kind::Select | Kind::Insert | Kind::Update | Kind::Delete => tree(analysis, tokens, whole, ctes, modifying),
            // Done by `merge`.
            Kind::Merge => {}
            // What a function or a cursor returns cannot be seen in the text.
            Kind::Fetch | Kind::Call | Kind::Other if words.0 == "execute" || analysis.kind != Kind::Other => {}
            _ => {
                analysis.output = Output::Nothing;
                analysis.parse = Parse::Full;
            }
        },
    }
}

/// Refines to columns with the other parser's tree, where the two agree on what is read.
fn tree(
    analysis: &mut Analysis,
    tokens: &Tokens<'_>,
    whole: &Tree<'_>,
    ctes: &[String],
    modifying: Option<&Modifying>,
) {
    if !whole.is_safe() {
        return;
    }
    // What a MERGE in WITH reads is in what was put in its place, or has been read with it.
    let rewritten = modifying.and_then(|modifying| modifying.rewritten.as_deref());
    let of_merges = modifying.filter(|_| rewritten.is_some());
    let outputs = match rewritten {
        None => whole.outputs(),
        Some(text) => tree_is_safe(text).then(|| output::of(text)).flatten(),
    };
    let Some(outputs) = outputs else { return };
    let is_cte = |name: &RelationName| name.schema.is_none() && ctes.iter().any(|cte| **cte == *name.name);
    let is_function = |name: &RelationName| analysis.functions.iter().any(|function| **function == *qualified(name));
    let here: BTreeSet<&RelationName> = analysis.reads.iter().chain(&analysis.writes).collect();
    let merged =
        of_merges.iter().flat_map(|merges| merges.reads.iter().chain(merges.flows.iter().map(|flow| &flow.into)));
    let named = outputs.relations.iter().filter(|name| here.contains(name) || !(is_cte(name) || is_function(name)));
    let there: BTreeSet<&RelationName> = named.chain(merged).collect();
    if here != there {
        return;
    }
    // A query of WITH elsewhere that has a table's name hides it from the other parser.
    let hidden: Vec<RelationName> =
        outputs.tables.iter().filter(|name| is_cte(name) && !here.contains(name)).cloned().collect();
    if !hidden.is_empty() {
        analysis.reads.extend(hidden);
        analysis.reads.sort_unstable();
    }
    analysis.parse = Parse::Full;
    analysis.single = outputs.single;
    // Of what is filled it is not known, nor what functions return.
    if analysis.kind == Kind::Select && analysis.functions.is_empty() {
        analysis.collects = tokens.collect_rows() || outputs.grows;
    }
    analysis.joined.clone_from(&outputs.joined);
    analysis.output =
        if outputs.has_no_column() && analysis.kind != Kind::Select && tokens.find(0, "returning").is_none() {
            Output::Nothing
        } else {
            Output::Columns(outputs.into_columns())
        };
}

/// How often the relation is named that is named most often, not counting columns of it; and what picks a row of several by itself.
fn named(tokens: &Tokens<'_>, relations: &[RelationName]) -> u16 {
    let is_behind = |at: usize, token| tokens.all.get(at + 1).is_some_and(|next| next.token == token);
    let mut times: BTreeMap<&str, usize> = relations.iter().map(|relation| (&*relation.name, 0)).collect();
    for (at, lexeme) in tokens.all.iter().enumerate().filter(|(_, lexeme)| lexeme.is_name()) {
        if let Some(times) = times.get_mut(&*lexeme.name()).filter(|_| !is_behind(at, Token::Ascii46)) {
            *times += 1;
        }
    }
    let most = times.into_values().max().unwrap_or(0).max(1);
    u16::try_from(most).unwrap_or(u16::MAX).saturating_mul(picked(tokens))
}

/// How many rows of several are picked by themselves, at least one.
fn picked(tokens: &Tokens<'_>) -> u16 {
    let picks =
        |pair: &&[Lexeme<'_>]| matches!(pair, [name, open] if open.token == Token::Ascii40 && output::picks(name.text));
    u16::try_from(tokens.all.windows(2).filter(picks).count()).unwrap_or(u16::MAX).max(1)
}

/// How often the function is called that is called most often, of those that are named; and what picks a row of several by itself.
fn called(tokens: &Tokens<'_>, functions: &[Text]) -> u16 {
    let mut times: BTreeMap<&str, u16> = functions.iter().map(|name| (doors::bare(name), 0)).collect();
    for pair in tokens.all.windows(2).take_while(|_| !functions.is_empty()) {
        let [name, open] = pair else { continue };
        if open.token == Token::Ascii40
            && name.is_name()
            && let Some(times) = times.get_mut(&*name.name())
        {
            *times = times.saturating_add(1);
        }
    }
    times.into_values().max().map_or(0, |most| most.saturating_mul(picked(tokens)))
}

fn within_limits(tokens: &Tokens<'_>) -> bool {
    let (count, depth) = (tokens.all.len(), tokens.depth());
    let links = || if count <= TREE_LINKS_MAX { count } else { tokens.links() };
    count <= TREE_TOKENS_MAX && depth <= TREE_DEPTH_MAX && links() <= TREE_LINKS_MAX
}

/// Whether `sqlparser` may see this text.
pub(super) fn tree_is_safe(text: &str) -> bool {
    Tokens::scan(text).is_some_and(|tokens| within_limits(&tokens)) && pg_query::summary(text, 0, -1).is_ok()
}

fn qualified(name: &RelationName) -> String {
    match &name.schema {
        Some(schema) => format!("{schema}.{}", name.name),
        None => name.name.to_string(),
    }
}

fn relations(summary: &pg_query::SummaryResult, tokens: &Tokens<'_>, analysis: &mut Analysis) {
    let (mut reads, mut writes) = (BTreeSet::new(), BTreeSet::new());
    for table in &summary.tables {
        let schema = Some(table.schema_name.as_str()).filter(|schema| !schema.is_empty()).map(Text::from);
        let name = RelationName { schema, name: table.table_name.as_str().into() };
        let written = match table.context {
            Context::Ddl => true,
            Context::Dml => analysis.kind != Kind::CopyOut,
            _ => analysis.kind == Kind::CopyIn,
        };
        if written {
            writes.insert(name)
        } else {
            reads.insert(name)
        };
    }
    let mut functions: BTreeSet<Text> =
        summary.functions.iter().map(|function| function.name.to_lowercase().into()).collect();
    let returning = returning(tokens, &summary.cte_names);
    if returning.is_open && analysis.code.is_none() {
        analysis.code = Some(Code::opaque(tokens.text));
    }
    analysis.returned = returning.functions.difference(&functions).cloned().collect();
    reads.extend(returning.reads);
    functions.extend(returning.functions);
    analysis.reads = reads.into_iter().collect();
    analysis.writes = writes.into_iter().collect();
    analysis.functions = functions.into_iter().collect();
}

/// COPY table [(columns)] TO.
fn copied_columns(tokens: &Tokens<'_>, analysis: &Analysis) -> Output {
    let [relation] = &analysis.reads[..] else { return Output::Unknown };
    let end = tokens.find(0, "to").unwrap_or(0);
    let open = tokens.all.iter().take(end).position(|lexeme| lexeme.text == "(");
    let names: Vec<Option<Text>> = match open {
        None => vec![None],
        Some(open) => {
            let between = tokens.all.iter().take(end).skip(open);
            let names = between.filter(|lexeme| !matches!(lexeme.text, "(" | ")" | ","));
            names.map(|lexeme| Some(lexeme.name().into())).collect()
        }
    };
    let columns = names.into_iter();
    Output::Columns(columns.map(|column| super::ColumnRef::new(Some(relation.clone()), column, true)).collect())
}

/// The statement within PREPARE, DECLARE, EXPLAIN and COPY (…).
fn inner<'t>(tokens: &Tokens<'t>) -> Option<&'t str> {
    match tokens.word(0).as_str() {
        "prepare" if tokens.word(1) != "transaction" => tokens.find(1, "as").map(|at| tokens.rest(at + 1)),
        "declare" => tokens.find(1, "for").map(|at| tokens.rest(at + 1)),
        "copy" => tokens.parenthesised(1).map(|(text, _)| text),
        "explain" => {
            let mut at = 1;
            if let Some((_, behind)) = tokens.parenthesised(1) {
                // A list of options, or the statement itself.
                if !matches!(tokens.word(2).as_str(), "select" | "with" | "values" | "(") {
                    at = behind;
                }
            }
            while matches!(tokens.word(at).as_str(), "analyze" | "analyse" | "verbose") {
                at += 1;
            }
            Some(tokens.rest(at))
        }
        _ => None,
    }
}

/// Whether an EXPLAIN runs what it explains.
fn executes(tokens: &Tokens<'_>) -> bool {
    tokens.all.iter().take(24).any(|lexeme| matches!(lexeme.name().as_str(), "analyze" | "analyse"))
}

fn kind(tokens: &Tokens<'_>) -> Kind {
    let first = tokens.word(0);
    match first.as_str() {
        "select" | "values" | "table" | "(" if tokens.find(0, "into").is_some() => Kind::Ddl,
        "select" | "values" | "table" | "(" => Kind::Select,
        "with" => with_kind(tokens),
        "insert" => Kind::Insert,
        "update" => Kind::Update,
        "delete" => Kind::Delete,
        "merge" => Kind::Merge,
        "copy" => match (tokens.find(1, "to"), tokens.find(1, "from")) {
            (Some(to), Some(from)) if from < to => Kind::CopyIn,
            (Some(_), _) => Kind::CopyOut,
            _ => Kind::CopyIn,
        },
        "fetch" | "move" => Kind::Fetch,
        "call" => Kind::Call,
        "do" => Kind::Do,
        "grant" | "revoke" | "reassign" => Kind::Grant,
        "create" | "alter" | "drop" if matches!(tokens.word(1).as_str(), "role" | "user" | "group") => {
            match tokens.word(2).as_str() {
                "mapping" => Kind::Ddl,
                _ => Kind::Grant,
            }
        }
        "alter" if tokens.are(1, &["default", "privileges"]) => Kind::Grant,
        "create" | "alter" | "drop" | "truncate" | "comment" | "reindex" | "cluster" | "refresh" | "security"
        | "import" => Kind::Ddl,
        "begin" | "start" | "commit" | "end" | "rollback" | "abort" | "savepoint" | "release" => Kind::Transaction,
        "prepare" if tokens.word(1) == "transaction" => Kind::Transaction,
        "set" | "reset" | "show" | "discard" => Kind::Set,
        _ => Kind::Other,
    }
}

fn with_kind(tokens: &Tokens<'_>) -> Kind {
    let is_main = |lexeme: &Lexeme<'_>| {
        matches!(
            lexeme.token,
            Token::Select
                | Token::Insert
                | Token::Update
                | Token::DeleteP
                | Token::Merge
                | Token::Values
                | Token::Table
        )
    };
    match tokens.find_where(1, is_main).and_then(|at| tokens.all.get(at)).map(|lexeme| lexeme.token) {
        Some(Token::Insert) => Kind::Insert,
        Some(Token::Update) => Kind::Update,
        Some(Token::DeleteP) => Kind::Delete,
        Some(Token::Merge) => Kind::Merge,
        Some(Token::Select) if tokens.find(1, "into").is_some() => Kind::Ddl,
        _ => Kind::Select,
    }
}

fn effects(tokens: &Tokens<'_>, kind: Kind, statement_types: &[String]) -> Vec<Effect> {
    let word = |index| tokens.word(index);
    let name = |index: usize| Text::from(word(index));
    match word(0).as_str() {
        "begin" | "start" => vec![Effect::TransactionBegun],
        "commit" | "end" => vec![Effect::TransactionCommitted],
        "rollback" if word(1) == "prepared" => Vec::new(),
        "rollback" if tokens.find(0, "to").is_some() => vec![Effect::RolledBackToSavepoint],
        "rollback" | "abort" => vec![Effect::TransactionRolledBack],
        "set" => set(tokens),
        "reset" if tokens.are(1, &["all"]) => vec![Effect::ResetAll],
        "reset" if tokens.are(1, &["role"]) || tokens.are(1, &["session", "authorization"]) => {
            vec![Effect::Role { role: None, local: false }]
        }
        "reset" => vec![Effect::Set { name: setting(tokens, 1).0, value: None, local: false }],
        "discard" if word(1) == "all" => {
            vec![
                Effect::ResetAll,
                Effect::Role { role: None, local: false },
                Effect::Deallocate { name: None },
                Effect::Discarded,
            ]
        }
        "discard" if word(1).starts_with("temp") => vec![Effect::Discarded],
        "execute" => vec![Effect::Execute { name: name(1) }],
        "deallocate" => {
            let at = if word(1) == "prepare" { 2 } else { 1 };
            vec![Effect::Deallocate { name: (word(at) != "all").then(|| name(at)) }]
        }
        "fetch" | "move" => {
            tokens.all.last().map(|last| Effect::Fetch { name: last.name().into() }).into_iter().collect()
        }
        "select" | "with" if kind == Kind::Select => configured(tokens),
        "update" if tokens.all.iter().any(|lexeme| lexeme.text.eq_ignore_ascii_case("pg_settings")) => {
            vec![Effect::PathUnknown]
        }
        // What its sessions begin with.
        "alter" if kind == Kind::Grant && ["set", "reset"].iter().any(|word| tokens.find(2, word).is_some()) => {
            vec![Effect::SchemaChanged]
        }
        // Who is a member of which role: a GRANT of privileges has ON in it.
        "grant" | "revoke" if tokens.find(1, "on").is_none() => vec![Effect::SchemaChanged],
        "alter" | "drop" if matches!(&*word(1), "role" | "user" | "group") => vec![Effect::SchemaChanged],
        _ if kind == Kind::Ddl || kind == Kind::Do || statement_types.iter().any(|name| name.starts_with("Create")) => {
            vec![Effect::SchemaChanged]
        }
        _ => Vec::new(),
    }
}

/// A setting's name, which may have dots, and the index behind it.
fn setting(tokens: &Tokens<'_>, from: usize) -> (Text, usize) {
    let mut name = tokens.word(from);
    let mut at = from + 1;
    while tokens.word(at) == "." {
        name = format!("{name}.{}", tokens.word(at + 1));
        at += 2;
    }
    (name.into(), at)
}

/// SHOW of a setting that is somebody's own, and what does the same.
fn shows_setting(tokens: &Tokens<'_>, analysis: &Analysis) -> bool {
    let named = |name: &Text| matches!(&**name, "current_setting" | "pg_catalog.current_setting");
    let shown = tokens.word(0) == "show";
    shown || analysis.functions.iter().any(named) || analysis.reads.iter().any(|name| &*name.name == "pg_settings")
}

/// The statement that CREATE TABLE … AS EXECUTE runs.
fn executed_into(tokens: &Tokens<'_>) -> Option<Text> {
    let at = tokens.find(0, "as").filter(|_| tokens.word(0) == "create")?;
    (tokens.word(at + 1) == "execute").then(|| tokens.word(at + 2).into())
}

/// `set_config('name', 'value', local)` with constants; with anything else, the search path may be any.
fn configured(tokens: &Tokens<'_>) -> Vec<Effect> {
    let mut effects = Vec::new();
    for (at, window) in tokens.all.windows(7).enumerate() {
        let [function, _, name, comma, value, _, local] = window else { continue };
        let constants = name.token == Token::Sconst && value.token == Token::Sconst && comma.text == ",";
        if !function.text.eq_ignore_ascii_case("set_config") || tokens.word(at + 1) != "(" {
            continue;
        }
        if !constants {
            let other =
                name.token == Token::Sconst && comma.text == "," && name.value().to_lowercase() != "search_path";
            effects.extend((!other).then_some(Effect::PathUnknown));
            continue;
        }
        let (setting, value) = (name.value().to_lowercase(), Text::from(value.value()));
        let local = local.text.eq_ignore_ascii_case("true");
        if setting == "role" {
            effects.push(Effect::Role { role: Some(value).filter(|role| **role != *"none"), local });
        } else if kept_setting(&setting) {
            effects.push(Effect::Set { name: setting.into(), value: Some(value), local });
        }
    }
    effects
}

fn set(tokens: &Tokens<'_>) -> Vec<Effect> {
    let local = tokens.word(1) == "local";
    let from = if local || tokens.word(1) == "session" && tokens.word(2) != "authorization" { 2 } else { 1 };
    let role = |at: usize| {
        let value = tokens.all.get(at).map(Lexeme::value).filter(|role| !matches!(role.as_str(), "none" | "default"));
        vec![Effect::Role { role: value.map(Text::from), local }]
    };
    if tokens.word(from) == "role" {
        return role(from + 1);
    }
    if tokens.are(from, &["session", "authorization"]) {
        return role(from + 2);
    }
    if matches!(tokens.word(from).as_str(), "transaction" | "constraints" | "characteristics" | "time") {
        return Vec::new();
    }
    let (name, at) = setting(tokens, from);
    let values: Vec<String> = tokens
        .all
        .iter()
        .skip(at + 1)
        .filter(|lexeme| lexeme.token != Token::Ascii44 && lexeme.text != ";")
        .map(Lexeme::value)
        .collect();
    let default = matches!(values.as_slice(), [only] if only == "default");
    let value = (kept_setting(&name) && !default).then(|| Text::from(values.join(", ")));
    match kept_setting(&name) {
        true => vec![Effect::Set { name, value, local }],
        false => Vec::new(),
    }
}

/// A text that the scanner refuses: an unterminated string, mostly.
fn refused(text: &str) -> Analysis {
    let first = text.split_whitespace().next().unwrap_or_default();
    let known = Tokens::scan(first).filter(|tokens| tokens.all.first().is_some_and(|lexeme| lexeme.keyword));
    Analysis {
        kind: known.as_ref().map_or(Kind::Other, kind),
        query: known.map_or_else(|| "…".into(), |tokens| format!("{} …", tokens.word(0)).into()),
        ..Analysis::unknown()
    }
}

/// The leading keywords of a text that the grammar refuses.
fn first_words(tokens: &Tokens<'_>) -> String {
    let mut words: Vec<String> =
        tokens.all.iter().take_while(|lexeme| lexeme.keyword).take(3).map(Lexeme::name).collect();
    words.push("…".to_owned());
    words.join(" ")
}
