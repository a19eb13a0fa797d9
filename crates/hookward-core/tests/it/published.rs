//! What senders publish to verify them with, in place of the network.

use std::collections::BTreeMap;

use hookward_core::{
    Source, Timestamp,
    scheme::{
        TrustAnchor,
        key_ring::{Due, Fetched},
    },
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde::Deserialize;

/// Documents by their URLs; for those that are asked for by a POST, by the URL, a space and the key's id.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Published {
    documents: BTreeMap<String, String>,
    /// The certificate of an authority that is trusted, in PEM.
    authority: Option<String>,
}

impl Published {
    /// Fetches what the source's requests wait for.
    pub(crate) fn fetch_for(&self, source: &Source, now: u64) {
        let ring = source.scheme().key_ring().expect("it waits for a key");
        let now = Timestamp::from_secs(now);
        let authority = self
            .authority
            .as_ref()
            .map(|pem| CertificateDer::from_pem_slice(pem.as_bytes()).unwrap());
        let anchors: Vec<TrustAnchor<'_>> =
            authority.iter().map(|it| webpki::anchor_from_trusted_cert(it).unwrap()).collect();
        let Due::Now(fetch) = ring.due(now) else { panic!("nothing is due") };
        assert!(fetch.url.starts_with("https://"), "{}", fetch.url);
        let asked = fetch.post.as_ref().map(|post| {
            let post: serde_json::Value = serde_json::from_str(post).unwrap();
            format!("{} {}", fetch.url, post["key_id"].as_str().unwrap())
        });
        let fetched = match self.documents.get(asked.as_ref().unwrap_or(&fetch.url)) {
            Some(body) => Fetched::Here { body: body.as_bytes(), max_age: None },
            None => Fetched::NotThere,
        };
        // What is wrong with a document shows in the verdict.
        ring.settle(&fetch, fetched, &anchors, now).unwrap_or_default();
    }
}
