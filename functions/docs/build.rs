//! Builds the files that the function serves. Each page is one HTML document with its styles and
//! scripts inlined, and its content security policy allows only these. The pages, the OpenAPI
//! documents and the JSON Schemas are compressed. Each has one entity tag for its text and another
//! for its compressed form.

use std::{
    env,
    error::Error,
    fs,
    io::{Cursor, Read, Write},
    path::Path,
};

use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// The folder of Swagger UI in the archive. The archive lacks the license notices of the packages
/// that are bundled in its script, so `page/` has them. Another version needs its own notices, from
/// the npm package `swagger-ui-dist`.
const VIEWER: &str = "swagger-ui-5.32.6";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=page");
    println!("cargo::rerun-if-changed=../../openapi");
    println!("cargo::rerun-if-changed=../../schemas");
    let out = env::var("OUT_DIR")?;
    let out = Path::new(&out);
    let docs = Page::new(own("index.html")?)
        .style("swagger-ui.css", &layer(&viewers("dist/swagger-ui.css")?))
        .style("page.css", &own("page.css")?)
        .style("viewer.css", &own("viewer.css")?)
        .script(
            "swagger-ui-bundle.js",
            &(own("swagger-ui-bundle.js.LICENSE.txt")? + &viewers("dist/swagger-ui-bundle.js")?),
        )
        .script("samples.js", &own("samples.js")?)
        .script("viewer.js", &own("viewer.js")?)
        .script("page.js", &own("page.js")?);
    docs.write(out, "docs.html")?;
    let home = Page::new(own("home.html")?)
        .style("home.css", &own("home.css")?)
        .script("home.js", &own("home.js")?);
    home.write(out, "home.html")?;
    for document in ["toptickets.json", "itsm.json"] {
        compress(
            out,
            document,
            &fs::read(Path::new("../../openapi").join(document))?,
        )?;
    }
    schemas(out)
}

/// Compresses the JSON Schemas, and writes the source of the list of them.
fn schemas(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut files: Vec<_> = fs::read_dir("../../schemas")?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    let mut list = format!("static SCHEMAS: [(&str, Asset); {}] = [\n", files.len());
    for file in files {
        let name = file
            .file_name()
            .into_string()
            .map_err(|_| "a name in UTF-8")?;
        compress(out, &name, &fs::read(file.path())?)?;
        list.extend(["    (\"", &name, "\", asset!(\"", &name, "\")),\n"]);
    }
    fs::write(out.join("schemas.rs"), list + "];\n")?;
    Ok(())
}

/// A page under construction: its document, and the content security policy's sources of the styles
/// and scripts that are inlined so far.
struct Page {
    document: String,
    styles: Vec<String>,
    scripts: Vec<String>,
}

impl Page {
    /// Starts with a document that has the slot `{{name}}` for each style and script.
    fn new(document: String) -> Self {
        Self {
            document,
            styles: Vec::new(),
            scripts: Vec::new(),
        }
    }

    fn style(mut self, slot: &str, text: &str) -> Self {
        let source = self.inline("style", slot, text);
        self.styles.push(source);
        self
    }

    fn script(mut self, slot: &str, text: &str) -> Self {
        let source = self.inline("script", slot, text);
        self.scripts.push(source);
        self
    }

    /// Replaces the slot with the text. Returns the source that allows the text: its hash.
    fn inline(&mut self, element: &str, slot: &str, text: &str) -> String {
        assert!(
            !text.contains(&format!("</{element}")),
            "{slot} would end its element"
        );
        let (before, after) = self
            .document
            .split_once(&format!("{{{{{slot}}}}}"))
            .unwrap_or_else(|| panic!("the document has no slot {slot}"));
        self.document = [before, text, after].concat();
        format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
    }

    /// Writes the page and its content security policy, `<name>.policy`.
    fn write(&self, out: &Path, name: &str) -> Result<(), Box<dyn Error>> {
        let policy = format!(
            "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            self.scripts.join(" "),
            self.styles.join(" ")
        );
        fs::write(out.join(format!("{name}.policy")), policy)?;
        compress(out, name, self.document.as_bytes())
    }
}

/// Writes the compressed text and the entity tags of both forms.
fn compress(out: &Path, name: &str, text: &[u8]) -> Result<(), Box<dyn Error>> {
    let mut compressed = GzEncoder::new(Vec::new(), Compression::best());
    compressed.write_all(text)?;
    let compressed = compressed.finish()?;
    fs::write(out.join(format!("{name}.etag")), etag(text))?;
    fs::write(out.join(format!("{name}.gz.etag")), etag(&compressed))?;
    fs::write(out.join(format!("{name}.gz")), compressed)?;
    Ok(())
}

/// Returns a strong entity tag of some bytes: the first half of their SHA-256, in URL-safe base64.
fn etag(bytes: &[u8]) -> String {
    format!(
        "\"{}\"",
        BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(bytes)[..16])
    )
}

/// Reads a file of `page/`, with the line ends that a browser hashes.
fn own(name: &str) -> Result<String, Box<dyn Error>> {
    Ok(fs::read_to_string(Path::new("page").join(name))?.replace("\r\n", "\n"))
}

/// Returns a style sheet in a cascade layer. Every rule outside layers overrides its rules,
/// regardless of their specificity.
fn layer(style: &str) -> String {
    format!("@layer viewer {{{style}}}")
}

/// Reads a file of Swagger UI.
fn viewers(name: &str) -> Result<String, Box<dyn Error>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let mut text = String::new();
    archive
        .by_name(&format!("{VIEWER}/{name}"))?
        .read_to_string(&mut text)?;
    Ok(text)
}
