//! A certificate authority of a test's own.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::ServerError;

/// Where a server's key and certificate and its authority's certificate are, all PEM.
pub(crate) struct Certificates {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Writes them into `folder`: for `localhost` and `127.0.0.1`.
    pub(crate) fn write(folder: &Path) -> Result<Self, ServerError> {
        let [authority, certificate, key] = make()
            .map_err(|error| ServerError::new(format!("making the certificates: {error}")))?;
        let write = |name: &str, text: String| {
            let file = folder.join(name);
            fs::write(&file, text).map_err(ServerError::io("writing the certificates"))?;
            Ok::<_, ServerError>(file)
        };
        Ok(Self {
            authority: write(AUTHORITY, authority)?,
            certificate: write("certificate.pem", certificate)?,
            key: write("key.pem", key)?,
        })
    }
}

/// The authority's certificate, in the server's folder.
pub(crate) const AUTHORITY: &str = "authority.pem";

fn make() -> Result<[String; 3], rcgen::Error> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = KeyPair::generate()?;
    let authority_certificate = authority.self_signed(&authority_key)?;
    let issuer = Issuer::new(authority, authority_key);

    let server = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
    let key = KeyPair::generate()?;
    let certificate = server.signed_by(&key, &issuer)?;
    Ok([
        authority_certificate.pem(),
        certificate.pem(),
        key.serialize_pem(),
    ])
}
