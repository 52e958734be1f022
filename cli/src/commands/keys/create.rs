//! `muster keys create`.

use std::{collections::BTreeSet, error::Error as _, net::IpAddr, time::Duration};

use anyhow::{anyhow, bail};
use clap::{Args, ValueEnum};
use ipnet::IpNet;
use muster_domain::{ApiKey, KeyKind, OrganizationId, Scope, SecretKey, Timestamp};

use super::description::{id, origin, validity, with_secret};
use crate::{
    commands::{TableLocation, TableTarget, values},
    output::{self, WriteError},
};

/// `muster keys create`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  muster keys create --organization acme --kind itsm
  muster keys create --organization acme --kind tt_live --scopes teams:read --expires-in 90d
  muster keys create --organization acme --kind itsm --allow-from 192.0.2.0/24 --json")]
pub struct Create {
    /// Organization of the key
    #[arg(long, value_name = "ID", value_parser = values::organization)]
    pub organization: OrganizationId,
    /// Kind of the key: its prefix and its contract
    #[arg(long, value_enum)]
    pub kind: KindArg,
    /// Scopes of the key [default: all that its kind allows]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCOPE,…")]
    pub scopes: Option<Vec<ScopeArg>>,
    /// Name of the key, for your own reference
    #[arg(long, value_name = "TEXT", value_parser = values::line)]
    pub name: Option<String>,
    /// Networks and addresses that may use the key, such as 192.0.2.0/24,2001:db8::7 [default:
    /// anywhere]
    #[arg(long, value_name = "CIDR,…", value_delimiter = ',', value_parser = network)]
    pub allow_from: Vec<IpNet>,
    /// Lifetime of the key, such as 90m, 12h or 30d [default: until revoked; 72h is the maximum for
    /// tt_ro]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub expires_in: Option<Duration>,
    /// Print one line of JSON
    #[arg(long)]
    pub json: bool,
    /// The table.
    #[command(flatten)]
    pub target: TableTarget,
}

impl Create {
    /// Creates a key and prints its secret. A key with an unprinted secret is deleted.
    ///
    /// # Errors
    /// The kind does not allow a scope, the table fails, or the secret cannot be printed.
    pub async fn run(self) -> anyhow::Result<()> {
        let Self {
            organization,
            kind: KindArg(kind),
            scopes,
            name,
            allow_from,
            expires_in,
            json,
            target,
        } = self;
        let scopes = match scopes {
            Some(scopes) => scopes.into_iter().map(|ScopeArg(scope)| scope).collect(),
            None => Scope::ALL
                .into_iter()
                .filter(|scope| kind.may_carry(*scope))
                .collect::<Vec<_>>(),
        };
        if let Some(scope) = scopes.iter().find(|scope| !kind.may_carry(**scope)) {
            bail!(
                "a {} key may not carry {}: leave it out, or choose another --kind",
                kind.as_str(),
                scope.as_str()
            );
        }
        let scopes = BTreeSet::from_iter(scopes).into_iter().collect();
        let now = Timestamp::now();
        let (secret, mut key) = issue(kind, organization, scopes, now);
        key.name = name;
        key.allowed_networks = allow_from;
        key.expires_at = expires_in.map(|time| now.plus(time));
        let target = target.resolve().await?;
        target
            .store()
            .await?
            .put_api_key(&key)
            .await
            .map_err(|error| target.explain(error))?;

        let printed = if json {
            output::line(with_secret(&key, &secret))
        } else {
            output::line(secret.reveal())
        };
        if let Err(error) = printed {
            return Err(delete_unprinted(&target, &key, &error).await);
        }
        if !json {
            let (id, validity, origin) = (id(&key), validity(&key), origin(&key));
            output::note(format_args!(
                "This is the only time the key is shown. Its id is {id}; it is valid {validity}, from {origin}."
            ));
        }
        Ok(())
    }
}

/// Generates a secret, and the record to store for it.
#[must_use]
pub fn issue(
    kind: KeyKind,
    organization_id: OrganizationId,
    scopes: Vec<Scope>,
    now: Timestamp,
) -> (SecretKey, ApiKey) {
    let secret = SecretKey::generate(kind, || rand::random_range(0..62));
    let key = ApiKey {
        hash: secret.hash(),
        kind,
        organization_id,
        scopes,
        allowed_networks: Vec::new(),
        name: None,
        created_at: now,
        expires_at: None,
        revoked_at: None,
    };
    (secret, key)
}

/// Deletes a key with an unprinted secret, and returns the error to report. A closed pipe is an
/// error here too, because no one can use the key.
async fn delete_unprinted(
    target: &TableLocation,
    key: &ApiKey,
    error: &WriteError,
) -> anyhow::Error {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let deleted = async {
        target
            .store()
            .await?
            .delete_api_key(key.hash)
            .await
            .map_err(anyhow::Error::from)
    };
    match deleted.await {
        Ok(()) => anyhow!(
            "{error} ({cause}): the key is deleted; create another when its output can be written"
        ),
        Err(failed) => {
            let (organization, id) = (&key.organization_id, id(key));
            failed.context(format!(
                "{error} ({cause}), and the key could not be deleted: run `muster keys revoke --organization \
                 {organization} {id}`"
            ))
        }
    }
}

/// The kinds of API key, as values of `--kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindArg(pub KeyKind);

impl ValueEnum for KindArg {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self(KeyKind::TtAdmin),
                Self(KeyKind::TtLive),
                Self(KeyKind::TtAgent),
                Self(KeyKind::TtReadOnly),
                Self(KeyKind::Itsm),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let help = match self.0 {
            KeyKind::TtAdmin => "TopTickets, any scope, 2,000 requests a minute",
            KeyKind::TtLive => "TopTickets, any scope, 200 requests a minute",
            KeyKind::TtAgent => "TopTickets, reading only, 200 requests a minute",
            KeyKind::TtReadOnly => "TopTickets, reading only, for 72 hours, 200 requests a minute",
            KeyKind::Itsm => "ITSM platform, any scope, 2,000 requests a minute",
        };
        Some(clap::builder::PossibleValue::new(self.0.as_str()).help(help))
    }
}

/// The scopes, as values of `--scopes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeArg(pub Scope);

impl ValueEnum for ScopeArg {
    fn value_variants<'a>() -> &'a [Self] {
        const {
            &[
                Self(Scope::TeamsRead),
                Self(Scope::TeamsWrite),
                Self(Scope::TeamsDelete),
            ]
        }
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.as_str()))
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    const RULE: &str =
        "not a network: use the form 192.0.2.0/24, 2001:db8::/32, or a single address";
    let network = match text.parse::<IpAddr>() {
        Ok(address) => address.into(),
        Err(_) => text.parse::<IpNet>().map_err(|_| RULE)?,
    };
    if network != network.trunc() {
        return Err(format!(
            "the address has bits outside the prefix: use {} for the network, or {} for the address",
            network.trunc(),
            network.addr()
        ));
    }
    // Functions compare IPv4-mapped IPv6 addresses as IPv4 addresses, so a mapped network is stored
    // as an IPv4 network.
    let mapped = match network {
        IpNet::V6(v6) => v6
            .addr()
            .to_ipv4_mapped()
            .zip(v6.prefix_len().checked_sub(96)),
        IpNet::V4(_) => None,
    };
    match mapped {
        Some((address, prefix_len)) => {
            IpNet::new(address.into(), prefix_len).map_err(|_| RULE.to_owned())
        }
        None => Ok(network),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    const RULE: &str = "not a time: use a number and a unit, m (minutes), h (hours) or d (days)";
    let (number, unit) = text
        .split_at_checked(text.len().saturating_sub(1))
        .ok_or(RULE)?;
    let number: u32 = number.parse().map_err(|_| RULE)?;
    let unit = match unit {
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        "d" => Duration::from_hours(24),
        _ => return Err(RULE.to_owned()),
    };
    if number == 0 {
        Err("must be more than zero".to_owned())
    } else {
        Ok(unit * number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_with_host_bits_is_rejected() {
        for (text, network) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8::7", "2001:db8::7/128"),
            ("::/0", "::/0"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:0.0.0.0/96", "0.0.0.0/0"),
        ] {
            assert_eq!(
                super::network(text)
                    .map(|network| network.to_string())
                    .as_deref(),
                Ok(network)
            );
        }
        for (text, meant) in [
            ("192.0.2.7/24", "192.0.2.0/24"),
            ("10.0.0.1/0", "0.0.0.0/0"),
            ("2001:db8::7/64", "2001:db8::/64"),
            ("::ffff:192.0.2.7/120", "::ffff:192.0.2.0/120"),
        ] {
            let error = super::network(text).unwrap_err();
            assert!(
                error.contains(meant) && error.contains("for the address"),
                "{error}"
            );
        }
        for bad in [
            "",
            " ",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2/24",
            "2001:db8::/129",
            "office",
            "192.0.2.7:443",
        ] {
            assert!(super::network(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn duration_without_a_unit_is_rejected() {
        assert_eq!(duration("90m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("30d"), Ok(Duration::from_hours(720)));
        for bad in ["", "h", "5", "1w", "-1h", "0d", "1.5h", "5é"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
