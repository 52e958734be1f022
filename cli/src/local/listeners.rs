//! The listeners of a local stack. All are bound before any data is opened, so that a port in use
//! leaves the data folder as it is.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
};

use anyhow::anyhow;
use tokio::net::TcpListener;

use super::Settings;

/// The listeners of a stack, on one address.
pub(super) struct Listeners {
    pub(super) api: TcpListener,
    pub(super) dynamodb: TcpListener,
    pub(super) aws: TcpListener,
}

impl Listeners {
    /// Binds the ports.
    ///
    /// # Errors
    /// A port is in use, or the address does not belong to this machine. The error names the flag
    /// that changes it.
    pub(super) async fn bind(api: u16, settings: &Settings) -> anyhow::Result<Self> {
        let Settings {
            listen: address,
            dynamodb_port: dynamodb,
            aws_port: aws,
            ..
        } = *settings;
        Ok(Self {
            api: bind(address, api, "--port").await?,
            dynamodb: bind(address, dynamodb, "--dynamodb-port").await?,
            aws: bind(address, aws, "--aws-port").await?,
        })
    }
}

async fn bind(address: IpAddr, port: u16, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from((address, port)))
        .await
        .map_err(|error| bind_error(address, port, flag, &error))
}

/// Returns the error of a failed bind, with its fix.
fn bind_error(address: IpAddr, port: u16, flag: &str, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("port {port} is in use: choose another with {flag}, or 0 for a free one")
        }
        ErrorKind::AddrNotAvailable => {
            anyhow!("{address} is not an address of this machine: choose another with --listen")
        }
        _ => anyhow!(
            "cannot listen on port {port} ({error}): choose another with {flag}, or 0 for a free one"
        ),
    }
}
