//! The options of `soci-layout plan`: those of `index`.

use clap::Args;

use super::IndexArgs;

/// The options.
#[derive(Args, Debug)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) index: IndexArgs,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::super::Cli;

    /// What is said of `index` must not stand in the help of `plan`.
    #[test]
    fn help_is_its_own_and_options_are_those_of_index() {
        let cli = Cli::command();
        let about = |name: &str| {
            let command = cli.find_subcommand(name).expect("a command");
            command.get_about().expect("a text").to_string()
        };
        assert!(about("plan").starts_with("Preview an index run"), "{}", about("plan"));
        assert!(about("index").starts_with("Index the images"), "{}", about("index"));
        let options = |name: &str| {
            let command = cli.find_subcommand(name).expect("a command");
            command.get_arguments().map(|a| a.get_id().clone()).collect::<Vec<_>>()
        };
        assert_eq!(options("plan"), options("index"));
    }
}
