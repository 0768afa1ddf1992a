//! The configuration as a user meets it: defaults, the whole of SPEC 6, the environment, and every mistake.

use super::*;

fn load(text: &str, environment: &[(&str, &str)]) -> Result<Config, Vec<Problem>> {
    Config::parse(text, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn the_defaults_are_those_of_the_spec() {
    let config = load("", &[]).unwrap();
    assert_eq!(config, Config::default());
    assert_eq!(config.roles, [Role::Engine, Role::Delivery, Role::Api]);
    assert_eq!((config.topics.partitions, config.topics.action_partitions, config.topics.replication), (12, 3, None));
    assert_eq!((config.engine.commit_interval, config.engine.idle_commit_interval), (50, 1_000));
    assert_eq!((config.dedup.window, config.dedup.anchor), (900_000, Anchor::FirstSeen));
    assert_eq!(config.dedup.keep_closed, 7 * 24 * 3_600_000);
    assert_eq!(config.api.listen, "127.0.0.1:8080");
    assert_eq!((config.limits.alert, config.limits.record_max), (65_536, 921_600));
    assert_eq!(config.aliases.severity["p1"], "critical");
}

/// The block of SPEC 6, with a value for each key.
#[test]
fn the_whole_of_the_spec_is_understood() {
    let hash = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let text = format!(
        r##"
        roles = ["engine", "delivery", "api"]
        [kafka]
        "bootstrap.servers" = "a:9092,b:9092"
        group.id = "pager"
        linger.ms = 5
        [topics]
        prefix = "sre."
        partitions = 24
        action_partitions = 2
        replication = 2
        dead_letters = "dlq"
        [engine]
        workers = 2
        commit_interval = "100ms"
        idle_commit_interval = "2s"
        publish_interval = "30s"
        [dedup]
        window = "1h30m"
        anchor = "last_seen"
        reopen_within = "0"
        stale_after = "0"
        close_after = "1h"
        keep_closed = "1d"
        alertmanager_alertname = false
        [severity]
        default = "high"
        [aliases.environment]
        LIVE = "production"
        [correlation]
        hold = "0"
        orphan_grace = "1m"
        [catch_up]
        max = "10s"
        [flapping]
        reopens = 3
        stable = "10m"
        [rules]
        dir = "/etc/incidentd/rules"
        watch = false
        default_channels = [{{ type = "email", config = {{ to = ["ops@example.org"] }} }}]
        [api]
        listen = "0.0.0.0:80"
        public_url = "https://incidents.example.org/"
        tokens = [{{ name = "ci", sha256 = "{hash}", scopes = ["alert", "read"] }}]
        [delivery]
        allow_list = ["10.0.0.0/8", "::1/128"]
        ca_file = "/etc/ca.pem"
        proxy = "http://me:hush@proxy:3128"
        timeout = "5s"
        secrets_dir = "/run/secrets"
        [delivery.slack]
        token = "xoxb-secret"
        base_url = "http://localhost:9/api"
        [delivery.pagerduty]
        base_url = "http://localhost:9"
        [delivery.sms]
        base_url = "http://localhost:9"
        account_sid = "AC1"
        auth_token = "secret:TWILIO"
        from = "+15550100"
        [delivery.email]
        smtp = "smtp://pager:hush@mail:25"
        from = "incidentd@example.org"
        username = "pager"
        password = "hush"
        [delivery.fallback]
        recipients = ["ops@example.org"]
        webhook_url = "https://example.org/hook"
        [delivery.breaker]
        failures = 3
        rest = "30s"
        [limits]
        alert = "32KiB"
        open_incidents = 1000
        "##
    );
    let config = load(&text, &[]).unwrap_or_else(|problems| panic!("{}", problem::report(None, &problems)));
    assert_eq!(config.kafka["bootstrap.servers"], "a:9092,b:9092");
    assert_eq!((config.kafka["group.id"].as_str(), config.kafka["linger.ms"].as_str()), ("pager", "5"));
    assert_eq!(config.dedup.window, 5_400_000);
    assert_eq!(config.aliases.environment["live"], "production");
    assert_eq!(config.aliases.environment["prod"], "production", "the defaults stay");
    assert_eq!(config.api.public_url.as_deref(), Some("https://incidents.example.org"));
    assert_eq!(config.api.tokens[0].scopes, [Scope::Alert, Scope::Read]);
    assert_eq!(config.topics.dead_letters, "dlq");
    assert_eq!(config.limits.alert, 32_768);
    assert_eq!(config.delivery.sms.auth_token, Some(Secret::Named("TWILIO".to_owned())));
    assert_eq!(config.delivery.breaker, Breaker { failures: 3, rest: 30_000, successes: 2 });
    let printed = serde_json::to_string(&config).unwrap();
    assert!(!printed.contains("xoxb-secret") && !printed.contains("hush"), "secrets are never printed");
    assert!(printed.contains(r#""window":"90m""#), "{printed}");
}

#[test]
fn the_environment_lies_over_the_file() {
    let config = load(
        "[dedup]\nwindow = \"1m\"\n",
        &[
            ("INCIDENTD_DEDUP__WINDOW", "2m"),
            ("INCIDENTD_KAFKA__BOOTSTRAP_SERVERS", "k:9092"),
            ("INCIDENTD_ROLES", "engine, api"),
            ("INCIDENTD_TOPICS__PARTITIONS", "4"),
            ("INCIDENTD_RULES__WATCH", "false"),
            ("INCIDENTD_DELIVERY_SLACK__TOKEN", "xoxb"),
            ("INCIDENTD_LIMITS__ALERT", "8KiB"),
            ("INCIDENTD_RULES__DEFAULT_CHANNELS", r##"[{"type":"slack","config":{"channel":"#x"}}]"##),
            ("INCIDENTD_SERVICE_HOST", "10.0.0.1"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.dedup.window, 120_000);
    assert_eq!(config.kafka["bootstrap.servers"], "k:9092");
    assert_eq!(config.roles, [Role::Engine, Role::Api]);
    assert_eq!((config.topics.partitions, config.rules.watch, config.limits.alert), (4, false, 8_192));
    assert_eq!(config.delivery.slack.token, Some(Secret::Text("xoxb".to_owned())));
    assert_eq!(config.rules.default_channels[0]["config"]["channel"], "#x");
}

/// Text, variables, what the one problem must say, and its remedy.
type Mistake<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

#[test]
fn each_mistake_is_named_with_its_place_and_its_remedy() {
    let cases: &[Mistake<'_>] = &[
        ("[dedup]\nwindw = \"15m\"", &[], "line 2: dedup.windw: unknown key", "did you mean `window`?"),
        ("[dedpu]\nwindow = \"15m\"", &[], "line 1: dedpu: unknown table", "did you mean [dedup]?"),
        ("role = [\"engine\"]", &[], "line 1: role: unknown key", "did you mean `roles`?"),
        ("dedup = 3", &[], "line 1: dedup: is a table", "write [dedup]"),
        ("[dedup]\nwindow = 15", &[], "dedup.window: 15 is not a duration", "\"15m\""),
        ("[dedup]\nwindow = \"15 parsecs\"", &[], "dedup.window: \"15 parsecs\" is not a duration", "\"15m\""),
        ("[engine]\ncommit_interval = \"1m\"", &[], "engine.commit_interval: \"1m\" is out of bounds", "\"5s\""),
        ("[dedup]\nanchor = \"lastseen\"", &[], "dedup.anchor: \"lastseen\" is not one of", "did you mean `last_seen`?"),
        ("[topics]\npartitions = 0", &[], "topics.partitions: 0 is not a whole number between 1", "12"),
        ("[topics]\nalerts = \"a b\"", &[], "line 2: topics.alerts: \"a b\" is no topic name", "letters"),
        ("[topics]\nalerts = \"x\"\nevents = \"x\"", &[], "line 3: topics.events: \"x\" is taken", "`alerts`"),
        ("[rules]\nwatch = \"yes\"", &[], "rules.watch: \"yes\" is neither", "true"),
        ("[api]\nlisten = \"0.0.0.0:8080\"", &[], "line 2: api.listen: \"0.0.0.0:8080\" is open to others", "tokens"),
        ("[api]\nlisten = \"8080\"", &[], "api.listen: \"8080\" is no address", "host:port"),
        ("[kafka]\n\"partition.assignment.strategy\" = \"roundrobin\"", &[], "\"roundrobin\" is refused", "range"),
        ("[kafka]\n\"bootstrap.server\" = \"x\"", &[], "kafka.bootstrap.server: librdkafka has no such", "\"bootstrap.servers\""),
        ("[kafka]\n\"linger.ms\" = \"soon\"", &[], "line 2: kafka.linger.ms: \"soon\" is refused by librdkafka", "CONFIGURATION"),
        ("[kafka]\n\"transactional.id\" = \"x\"", &[], "kafka.transactional.id: is set by incidentd", "group.instance.id"),
        ("[delivery]\nallow_list = [\"10.0.0.0\"]", &[], "delivery.allow_list: \"10.0.0.0\" is no CIDR", "10.0.0.0/8"),
        ("[delivery.slack]\nbase_url = \"slack.com\"", &[], "delivery.slack.base_url: \"slack.com\" is no URL", "https://"),
        ("[rules]\ndefault_channels = [{ type = \"slak\", config = {} }]", &[], "\"slak\" is no channel type", "`slack`"),
        ("[api]\ntokens = [{ name = \"a\", sha256 = \"beef\", scopes = [\"read\"] }]", &[], "not 64 hex digits", "sha256sum"),
        ("[limits]\nrecord_max = \"2MiB\"", &[], "limits.record_max: 2097152 bytes", "message.max.bytes"),
        ("[aliases.severity]\nsev1 = \"urgent\"", &[], "aliases.severity.sev1: \"urgent\"", "critical"),
        ("[dedup", &[], "line 1: not TOML", "quotes"),
        ("roles = []", &[], "roles: is empty", "leave it out"),
        (
            "",
            &[("INCIDENTD_DEDUP__WINDOW", "soon")],
            "dedup.window: \"soon\" is not a duration (from the environment variable INCIDENTD_DEDUP__WINDOW)",
            "15m",
        ),
        ("", &[("INCIDENTD_DEDPU__WINDOW", "1m")], "dedpu: unknown table", "did you mean INCIDENTD_DEDUP__WINDOW?"),
        ("", &[("INCIDENTD_DEDUP__WINDWO", "1m")], "dedup.windwo: unknown key", "`window`"),
    ];
    for (text, environment, says, remedy) in cases {
        let problems = load(text, environment).expect_err(text);
        let report = problem::report(None, &problems);
        assert_eq!(problems.len(), 1, "{text}: {report}");
        assert!(report.contains(says), "{text}: {report}");
        assert!(problems[0].help.contains(remedy), "{text}: {report}");
    }
}

#[test]
fn all_mistakes_show_at_once() {
    let problems = load("[dedup]\nwindow = 1\nanchor = 2\n[engine]\nworkers = -1\n", &[]).unwrap_err();
    assert_eq!(problems.iter().map(|p| p.key.as_str()).collect::<Vec<_>>(), ["engine.workers", "dedup.window", "dedup.anchor"]);
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Some(Path::new("/nowhere/incidentd.toml")), std::iter::empty()).unwrap_err();
    assert!(error.to_string().starts_with("/nowhere/incidentd.toml: cannot be read"), "{error}");
}
