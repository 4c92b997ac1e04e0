//! `revaer presets`: filters and orders for `revaer ls`, kept by the server under names.

use clap::{Args, Subcommand};
use reqwest::Method;
use revaer_api_models::{ListSort, PresetFilter, QueryPreset, QueryPresetList, StateKind};
use serde_json::{Map, Value, json};

use crate::{
    client::Auth,
    context::Context,
    error::CliError,
    reason::{ReasonArg, explained},
    table::{Cell, Table},
    text::{moment, printable},
    values::{Sort, preset_name},
};

const PATH: &str = "/v1/query-presets";

/// What to do with presets.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the presets
    Ls,
    /// Show one preset
    Show(Name),
    /// Keep a filter and an order under a name, in place of what is kept there
    Set(SetArgs),
    /// Forget a preset
    Rm(RmArgs),
}

/// Which preset.
#[derive(Debug, Args)]
pub(crate) struct Name {
    /// The preset
    #[arg(id = "preset", value_name = "NAME", value_parser = preset_name)]
    name: String,
}

/// Flags of `presets rm`.
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    #[command(flatten)]
    preset: Name,
    #[command(flatten)]
    why: ReasonArg,
}

/// Flags of `presets set`; those of `ls`.
#[derive(Debug, Args)]
pub(crate) struct SetArgs {
    #[command(flatten)]
    preset: Name,
    /// Only torrents in one of these states
    #[arg(long, value_name = "STATE,…", value_delimiter = ',')]
    state: Vec<StateKind>,
    /// Only torrents with a tracker like one of these hosts or URL fragments
    #[arg(long, value_name = "TRACKER,…")]
    tracker: Option<String>,
    /// Only torrents with a file of one of these extensions
    #[arg(long, value_name = "EXT,…")]
    extension: Option<String>,
    /// Only torrents with all of these tags
    #[arg(long, value_name = "TAG,…")]
    tags: Option<String>,
    /// Only torrents whose name contains one of these
    #[arg(long, value_name = "FRAGMENT,…")]
    name: Option<String>,
    /// Order of the list
    #[arg(long, value_enum)]
    sort: Option<Sort>,
    #[command(flatten)]
    why: ReasonArg,
}

impl Command {
    /// The command in words.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Ls => "presets ls",
            Self::Show(_) => "presets show",
            Self::Set(_) => "presets set",
            Self::Rm(_) => "presets rm",
        }
    }
}

impl SetArgs {
    /// The request's body. The server reads commas as in the query of a list.
    fn body(&self) -> Value {
        let states: Vec<_> = self.state.iter().map(|state| state.as_str()).collect();
        let members = [
            ("state", (!states.is_empty()).then(|| states.join(","))),
            ("tracker", self.tracker.clone()),
            ("extension", self.extension.clone()),
            ("tags", self.tags.clone()),
            ("name", self.name.clone()),
        ];
        let filter: Map<_, _> = members
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), Value::from(value?))))
            .collect();
        json!({"filter": filter, "sort": self.sort.map(Sort::as_str)})
    }
}

/// The members of a filter that restrict, as they are typed.
fn filter(preset: &QueryPreset) -> impl Iterator<Item = (&'static str, String)> {
    let PresetFilter { state, tracker, extension, tags, name } = &preset.filter;
    let states = state.iter().map(|state| state.as_str().to_owned()).collect::<Vec<_>>();
    let members = [
        ("state", states.join(",")),
        ("tracker", tracker.join(",")),
        ("extension", extension.join(",")),
        ("tags", tags.join(",")),
        ("name", name.join(",")),
    ];
    members
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (name, printable(&values)))
}

/// The order, as it is typed.
fn sort(preset: &QueryPreset) -> &'static str {
    match preset.sort.unwrap_or_default() {
        ListSort::Newest => Sort::Newest.as_str(),
        ListSort::Oldest => Sort::Oldest.as_str(),
    }
}

/// Does it.
pub(crate) async fn run(command: &Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Ls => ls(context).await,
        Command::Show(preset) => show(&preset.name, context).await,
        Command::Set(args) => set(args, context).await,
        Command::Rm(args) => remove(args, context).await,
    }
}

async fn ls(context: &Context) -> Result<(), CliError> {
    let answer = context.client.call(context.client.request(Method::GET, PATH, &[]), Auth::Key).await?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let list: QueryPresetList = answer.read()?;
    let mut table = Table::default();
    if !context.screen.is_quiet() {
        table.row(["NAME", "SORT", "FILTER"].map(Cell::from));
    }
    for preset in &list.presets {
        let filter: Vec<_> = filter(preset).map(|(name, value)| format!("{name}={value}")).collect();
        let mut row = vec![printable(&preset.name).into(), sort(preset).into()];
        row.extend((!filter.is_empty()).then(|| filter.join(" ").into()));
        table.row(row);
    }
    context.screen.table(&table)
}

async fn show(name: &str, context: &Context) -> Result<(), CliError> {
    let request = context.client.request(Method::GET, &format!("{PATH}/{name}"), &[]);
    let answer = context.client.call(request, Auth::Key).await?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    let preset: QueryPreset = answer.read()?;
    let mut table = Table::default();
    table.pair("preset", printable(&preset.name));
    for (name, value) in filter(&preset) {
        table.pair(name, value);
    }
    table.pair("sort", sort(&preset));
    table.pair("updated_at", moment(preset.updated_at));
    context.screen.table(&table)
}

async fn set(args: &SetArgs, context: &Context) -> Result<(), CliError> {
    let name = &args.preset.name;
    let request = context.client.request(Method::PUT, &format!("{PATH}/{name}"), &[]).json(&args.body());
    let request = explained(request, args.why.reason.as_ref());
    let answer = context.client.call(request, Auth::Key).await.map_err(repeatable)?;
    context.screen.result(if context.screen.is_json() { answer.body() } else { name })
}

async fn remove(args: &RmArgs, context: &Context) -> Result<(), CliError> {
    let name = &args.preset.name;
    let request = context.client.request(Method::DELETE, &format!("{PATH}/{name}"), &[]);
    let request = explained(request, args.why.reason.as_ref());
    let answer = context.client.call(request, Auth::Key).await.map_err(repeatable)?;
    if context.screen.is_json() {
        return context.screen.result(answer.body());
    }
    context.screen.result(&format!("{name} removed"))
}

fn repeatable(error: CliError) -> CliError {
    error.with_hint("repeat the command: asking twice does no harm")
}
