//! The `wharf` program: reads the command line and hands over to the library.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use wharf::app::{App, AppExit, Environment, OsRandom, SystemClock};
use wharf::cli::exit::CliError;
use wharf::cli::output::Output;
use wharf::cli::{self, Command, Globals, ServeArgs};

/// Requests allocate many short-lived objects: the system's allocator took a third of their instructions.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let (globals, command) = cli::parse().into_parts();
    match command {
        Command::Serve(args) => serve(&globals, &args),
        Command::Openapi => cli::openapi::run(wharf::api::openapi_json),
        Command::Completions(args) => cli::completions::run(&args),
        Command::Man(args) => cli::man::run(&args),
        Command::Client(command) => match runtime(false) {
            Ok(runtime) => runtime.block_on(Box::pin(cli::run(&globals, command, &SystemClock))),
            Err(error) => fail(&globals, error.to_string()),
        },
    }
}

fn serve(globals: &Globals, args: &ServeArgs) -> ExitCode {
    let settings = match args.settings(globals) {
        Ok(settings) => settings,
        Err(error) => return fail(globals, error.to_string()),
    };
    let api_key = match globals.given_key() {
        Ok(key) => key.map(|key| key.expose().to_owned()),
        Err(error) => return fail(globals, error.to_string()),
    };
    if let Err(error) = wharf::telemetry::init_logs(&settings.log) {
        return fail(globals, error.to_string());
    }
    wharf::app::process_limits::raise_open_files();
    wharf::app::process_limits::hide_memory();
    wharf::app::process_limits::create_private_files();
    let surroundings = Environment {
        clock: Arc::new(SystemClock),
        random: Arc::new(OsRandom),
        api_key,
        terminal: std::io::stderr().is_terminal(),
        reload_settings: {
            let (globals, args) = (globals.clone(), args.clone());
            Box::new(move || args.settings(&globals))
        },
    };
    let runtime = match runtime(true) {
        Ok(runtime) => runtime,
        Err(error) => return fail(globals, error.to_string()),
    };
    let outcome = runtime.block_on(async {
        let signals = wharf::lifecycle::signals().map_err(|error| error.to_string())?;
        let app = Box::pin(App::start(settings, surroundings)).await.map_err(|error| chain(&error))?;
        Ok(Box::pin(app.run(signals)).await)
    });
    match outcome {
        Ok(AppExit::Cleanly | AppExit::Hastily) => ExitCode::SUCCESS,
        Ok(AppExit::Failed(_)) => ExitCode::FAILURE,
        Err(message) => fail(globals, message),
    }
}

fn runtime(server: bool) -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = if server {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    builder.enable_all().build()
}

/// An error and its causes in one line, each said once.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

fn fail(globals: &Globals, message: String) -> ExitCode {
    Output::new(globals.json).finish(Err(CliError::Usage(message)))
}
