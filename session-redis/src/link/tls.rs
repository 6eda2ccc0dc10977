//! Connections over TLS.

use redis::{Client, ConnectionInfo, RedisError};

/// How the servers' certificates are judged: by those of one authority (PEM), or by those of the
/// public ones.
#[cfg(feature = "tls")]
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    authority: Option<Vec<u8>>,
}

#[cfg(feature = "tls")]
impl Tls {
    /// By the authority whose certificates are in `pem`; by the public ones if there is none.
    pub(crate) fn trusting(authority: Option<Vec<u8>>) -> Result<Self, RedisError> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};
        if let Some(pem) = &authority {
            let mut certificates = CertificateDer::pem_slice_iter(pem);
            let whole = |first: Result<_, _>| first.is_ok();
            if !certificates.next().is_some_and(whole) || !certificates.all(whole) {
                return Err((
                    redis::ErrorKind::InvalidClientConfig,
                    "the authority's file is not one of certificates in PEM",
                )
                    .into());
            }
        }
        Ok(Self { authority })
    }

    /// redis-rs takes rustls' default provider of cryptography and panics if there is none.
    pub(crate) fn client(&self, info: ConnectionInfo) -> Result<Client, RedisError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // An error means that another thread has just installed one.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        match &self.authority {
            None => Client::open(info),
            Some(pem) => Client::build_with_tls(
                info,
                redis::TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone()),
                },
            ),
        }
    }
}

/// There is none.
#[cfg(not(feature = "tls"))]
#[derive(Clone, Debug)]
pub(crate) enum Tls {}

#[cfg(not(feature = "tls"))]
impl Tls {
    pub(crate) fn trusting(_: Option<Vec<u8>>) -> Result<Self, RedisError> {
        Err((
            redis::ErrorKind::InvalidClientConfig,
            "the feature `tls` of session-redis is off",
        )
            .into())
    }

    pub(crate) fn client(&self, _: ConnectionInfo) -> Result<Client, RedisError> {
        match *self {}
    }
}
