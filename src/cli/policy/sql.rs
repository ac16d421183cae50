//! `mitsuke policy sql`: policies as SQL over the log, for `mitsuke query` or DuckDB.

use anyhow::bail;
use clap::{Args, ValueEnum};
use serde_json::json;

use super::super::{Global, Status};
use super::{Format, Origin, length, print, unknown};
use crate::clock::Clock;
use crate::config::Config;
use crate::policy::definition::Policy;
use crate::policy::sql::{Ask, Dialect, Unsayable, query};

/// Policies as SQL over the log
///
/// One query a policy. It gives the records that the policy matches, with the figure that was held against its limit; which of them
/// become findings, its throttle decides. The permit of a record is the one that the log has. DuckDB reads what is sealed as Parquet, in the
/// folder of the log; `mitsuke query` the last seconds as well.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mitsuke policy sql many-people-in-a-day\n  \
                        mitsuke query \"$(mitsuke policy sql many-people-in-a-day --since 30d)\"\n  \
                        mitsuke policy sql many-people-in-a-day --engine duckdb | duckdb")]
pub struct Sql {
    /// Only these policies
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Who is to run it
    #[arg(long, value_enum, default_value_t = Engine::Datafusion)]
    engine: Engine,
    /// Only matches since then: 12h, 30d, 4w [default: of the whole log]
    #[arg(long, value_name = "TIME", value_parser = length)]
    since: Option<i64>,
    #[command(flatten)]
    from: Origin,
    /// text: SQL; json: one object a policy, a line each
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// `mitsuke query`
    Datafusion,
    /// DuckDB, over the Parquet files
    Duckdb,
}

impl Sql {
    /// Prints them.
    pub fn run(&self, global: &Global) -> anyhow::Result<Status> {
        let Some(set) = self.from.load(global) else { return Ok(Status::Wrong) };
        if let Some(id) = self.ids.iter().find(|id| set.policy(id).is_none()) {
            return Err(unknown(&set, id));
        }
        let config = Config::load(global.config.as_deref())?.with_log(global.log.as_deref())?;
        let now = Clock::system().now();
        let ask = Ask {
            dialect: if self.engine == Engine::Duckdb { Dialect::DuckDb } else { Dialect::DataFusion },
            log: match &config.audit.store {
                Some(store) => store.url.to_string().into(),
                None => std::path::absolute(&config.audit.path)?,
            },
            timezone: set.timezone.clone(),
            since: self.since.map(|since| now.plus_micros(-since)),
            now,
        };
        let named = !self.ids.is_empty();
        let wanted: Vec<&Policy> = match named {
            true => self.ids.iter().filter_map(|id| set.policy(id)).map(|policy| &**policy).collect(),
            false => set.active().map(|policy| &**policy).collect(),
        };
        let mut text = String::new();
        for (index, policy) in wanted.into_iter().enumerate() {
            let said = query(policy, &ask);
            match (&said, named) {
                (Err(why), true) => bail!("the policy `{}` cannot be said in SQL: {why}", policy.id),
                _ if self.format == Format::Json => text += &object(policy, self.engine, &said),
                (Ok(sql), _) => text += &format!("{}{sql};\n", if index == 0 { "" } else { "\n" }),
                (Err(why), false) => text += &format!("\n/* {}: cannot be said in SQL: {why} */\n", policy.id),
            }
        }
        print(&text)?;
        Ok(Status::Done)
    }
}

fn object(policy: &Policy, engine: Engine, said: &Result<String, Unsayable>) -> String {
    let engine = if engine == Engine::Duckdb { "duckdb" } else { "datafusion" };
    let why = said.as_ref().err().map(ToString::to_string);
    let object = json!({ "id": policy.id, "engine": engine, "sql": said.as_ref().ok(), "not_said": why });
    format!("{object}\n")
}
