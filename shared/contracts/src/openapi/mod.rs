//! The two contracts as OpenAPI 3.1 documents.
//!
//! The code is the source of most parts: [`ROUTES`] of the paths, scopes and bodies, the serialized
//! wire types of the response schemas, the functions that render errors of the error examples. A
//! test compares the request schemas with their parsers. The examples in `openapi/examples` come
//! from the contracts' own documents, with omitted fields completed.

mod case_names;
mod document;
mod errors;
mod headers;
mod operations;
mod parameters;
mod requests;
mod schemas;

use crate::route::ROUTES;
use document::{Components, Document, Info, License, Map, SecurityScheme, Server, Tag, pretty};
use muster_domain::Contract;

/// Returns the document of a contract as pretty-printed JSON with a final newline.
#[must_use]
pub fn document(contract: Contract) -> String {
    let document = Document {
        openapi: "3.1.0",
        info: info(contract),
        servers: [Server {
            url: "/",
            description: "The server of this document.",
        }],
        tags: tags(contract),
        paths: paths(contract),
        components: components(contract),
    };
    pretty(&crate::json::json(&document))
}

fn info(contract: Contract) -> Info {
    let (title, summary, description) = match contract {
        Contract::Toptickets => (
            "Muster: Teams for TopTickets",
            "Teams, their members and the routing of tickets, under the TopTickets contract.",
            include_str!("toptickets.md"),
        ),
        Contract::Itsm => (
            "Muster: Teams for the ITSM platform",
            "Teams, their members, their workload and the routing of tickets, under the ITSM contract.",
            include_str!("itsm.md"),
        ),
    };
    let license = env!("CARGO_PKG_LICENSE");
    Info {
        title,
        summary,
        description,
        license: License {
            name: license,
            identifier: license,
        },
        version: env!("CARGO_PKG_VERSION"),
    }
}

fn tags(contract: Contract) -> Vec<Tag> {
    let mut tags = vec![
        Tag {
            name: "Teams",
            description: "Groups of agents that tickets are routed to.",
        },
        Tag {
            name: "Members",
            description: "Memberships of teams.",
        },
        Tag {
            name: "Assignments",
            description: "The assignee of a ticket, and the decision behind it.",
        },
    ];
    if contract == Contract::Itsm {
        tags.insert(
            2,
            Tag {
                name: "Workload",
                description: "Open tickets of a team and of its members.",
            },
        );
    }
    tags
}

fn paths(contract: Contract) -> Map<Map<document::Operation>> {
    let mut paths: Vec<(String, Map<document::Operation>)> = Vec::new();
    for (method, pattern, endpoint) in ROUTES {
        if !endpoint.is_in(contract) {
            continue;
        }
        let operation = (
            method.to_lowercase(),
            operations::operation(endpoint, contract, pattern),
        );
        match paths.last_mut() {
            Some((path, operations)) if path == pattern => operations.0.push(operation),
            _ => paths.push((pattern.to_owned(), Map(vec![operation]))),
        }
    }
    Map(paths)
}

fn components(contract: Contract) -> Components {
    let mut schemas = schemas::of_responses(contract);
    for (name, schema) in requests::schemas(contract) {
        schemas.insert(name, schema);
    }
    Components {
        schemas: schemas.into_map(),
        responses: errors::components(contract),
        headers: headers::components(),
        security_schemes: security_schemes(contract),
    }
}

fn security_schemes(contract: Contract) -> Map<SecurityScheme> {
    let bearer = |bearer_format, description| SecurityScheme {
        kind: "http",
        scheme: "bearer",
        bearer_format,
        description,
    };
    let schemes = match contract {
        Contract::Toptickets => vec![(
            "apiKey",
            bearer(
                "tt_…",
                "An API key: `tt_admin_…` (2,000 requests a minute), `tt_live_…` (200), `tt_agent_…` (200, read-only) or \
                 `tt_ro_…` (200, read-only, for 72 hours).",
            ),
        )],
        Contract::Itsm => vec![
            (
                "apiKey",
                bearer("itsm_…", "An API key: `itsm_…`, 2,000 requests a minute."),
            ),
            (
                "jwt",
                bearer(
                    "JWT",
                    "A token signed with RS256, with the claims `sub`, `organizationId`, `permissions`, `exp` and `jti`. A \
                     permission `teams:read:org` or `teams:read:all` grants the scope `teams:read`. 2,000 requests a minute for \
                     each `sub`.",
                ),
            ),
        ],
    };
    schemes.into_iter().collect()
}
