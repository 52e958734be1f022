//! Makes the page that `GET /docs` answers with: one HTML document with Swagger UI inlined, compressed, and the content
//! security policy that lets it run that and nothing else.

use std::{
    env,
    error::Error,
    fs,
    io::{Cursor, Read, Write},
    path::Path,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// The archive's folder. The archive lacks the notices of what is bundled in its script, so these stand in `page/`, and
/// another version needs its own: they are in the npm package `swagger-ui-dist`.
const VIEWER: &str = "swagger-ui-5.32.6";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=page");
    let mut page = own("index.html")?;
    let notices = own("swagger-ui-bundle.js.LICENSE.txt")?;
    let mut inline = |element: &str, slot: &str, text: &str| {
        assert!(!text.contains(&format!("</{element}")), "{slot} would end its element");
        let (before, after) = page.split_once(&format!("{{{{{slot}}}}}")).expect("index.html has every slot once");
        page = [before, text, after].concat();
        format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
    };
    let viewer_style = inline("style", "swagger-ui.css", &viewers("dist/swagger-ui.css")?);
    let style = inline("style", "page.css", &own("page.css")?);
    let viewer_script = inline("script", "swagger-ui-bundle.js", &(notices + &viewers("dist/swagger-ui-bundle.js")?));
    let script = inline("script", "page.js", &own("page.js")?);
    let policy = format!(
        "default-src 'none'; script-src {viewer_script} {script}; style-src {viewer_style} {style}; img-src data:; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );

    let out = env::var("OUT_DIR")?;
    let mut compressed = GzEncoder::new(fs::File::create(Path::new(&out).join("page.html.gz"))?, Compression::best());
    compressed.write_all(page.as_bytes())?;
    compressed.finish()?;
    fs::write(Path::new(&out).join("policy.txt"), policy)?;
    Ok(())
}

/// A file of ours, with the line ends that a browser hashes.
fn own(name: &str) -> Result<String, Box<dyn Error>> {
    Ok(fs::read_to_string(Path::new("page").join(name))?.replace("\r\n", "\n"))
}

/// A file of the viewer.
fn viewers(name: &str) -> Result<String, Box<dyn Error>> {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED))?;
    let mut text = String::new();
    archive.by_name(&format!("{VIEWER}/{name}"))?.read_to_string(&mut text)?;
    Ok(text)
}
