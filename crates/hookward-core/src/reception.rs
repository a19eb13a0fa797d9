//! The steps that a request goes through until it is verified, cheap and safe ones first: the same ones in the gateway
//! and in the library. In between, whoever does the I/O reads the body.

use std::{net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderName, header};

use crate::{
    Head, Refusal, Request, Source, Timestamp,
    address::{self, TrustedProxies},
    rate::{SharedAddressBudgets, SharedBucket},
    source::{Screened, Verified},
};

/// What receives the requests of one source. `elapsed` is a monotonic time, the budgets' own.
#[derive(Clone, Copy, Debug)]
pub struct Reception<'r> {
    /// Whose requests they are.
    pub source: &'r Source,
    /// The proxies that are believed when they say for whom they speak.
    pub trusted_proxies: &'r TrustedProxies,
    /// What addresses may send that is not verified.
    pub unverified: &'r SharedAddressBudgets,
    /// What the source may send that is.
    pub budget: &'r SharedBucket,
}

/// A head that is worth reading a body for: as one of an event, or of a question that its body shows to be one.
#[derive(Debug)]
pub struct Awaited<'h>(Result<Screened<'h>, Refusal>);

impl<'r> Reception<'r> {
    /// Finds the client's address, and takes this request from what it may send unverified.
    pub fn enter(
        &self,
        head: &Head<'_>,
        peer: IpAddr,
        elapsed: Duration,
    ) -> Result<IpAddr, Refusal> {
        let rules = self.source.rules();
        if rules.handshakes.is_empty() {
            self.source.takes(head.method)?;
        }
        let client = address::client_address(peer, head, self.trusted_proxies);
        if rules.origin.as_ref().is_some_and(|origin| !origin.contains(client)) {
            return Err(Refusal::AddressNotAllowed);
        }
        let taken = self.unverified.take(client, elapsed);
        taken.map_err(|wait| Refusal::UnverifiedBudget { retry_after: wait.0 })?;
        Ok(client)
    }

    /// [`screen`]s a head.
    pub fn screen<'h>(&self, head: &Head<'h>, now: Timestamp) -> Result<Awaited<'h>, Refusal> {
        screen(self.source, head, now)
    }

    /// [`verify`]s a request; gives a verified one's share back to its address, and takes it from the source's budget.
    pub fn verify(
        &self,
        awaited: Awaited<'r>,
        request: Request<'r>,
        client: IpAddr,
        now: Timestamp,
        elapsed: Duration,
    ) -> Result<Verified<'r>, Refusal> {
        let verified = verify(self.source, awaited, request, now)?;
        self.unverified.refund(client);
        if let Some(budget) = &self.source.rules().budget {
            let taken = self.budget.take(budget, elapsed);
            taken.map_err(|wait| Refusal::SourceBudget { retry_after: wait.0 })?;
        }
        Ok(verified)
    }
}

/// Refuses what the head alone shows to be wrong, and answers the question that it alone is.
pub fn screen<'h>(
    source: &Source,
    head: &Head<'h>,
    now: Timestamp,
) -> Result<Awaited<'h>, Refusal> {
    if let Some(answer) = source.greeting(head, None, now) {
        return Err(Refusal::Handshake(answer?.into()));
    }
    match source.screen(head, now) {
        Err(refusal) if !source.may_greet_in_body(head.method) => Err(refusal),
        screened => Ok(Awaited(screened)),
    }
}

/// Verifies a request whose head was [`screen`]ed, or answers the question that it is.
pub fn verify<'s>(
    source: &'s Source,
    awaited: Awaited<'s>,
    request: Request<'s>,
    now: Timestamp,
) -> Result<Verified<'s>, Refusal> {
    if request.body.len() > source.rules().body_bytes_max {
        return Err(Refusal::BodyTooLarge { max: source.rules().body_bytes_max });
    }
    if awaited.0.is_err()
        && let Some(answer) = source.greeting(&request.head, Some(&request.body), now)
    {
        return Err(Refusal::Handshake(answer?.into()));
    }
    source.verify_screened(awaited.0?, request, now)
}

/// Refuses what two readers of a head could understand differently, whoever has read it first.
pub fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
    if headers.contains_key(header::TRANSFER_ENCODING)
        && headers.contains_key(header::CONTENT_LENGTH)
    {
        return Err(Refusal::BadFraming("both Content-Length and Transfer-Encoding"));
    }
    if headers.get_all(header::CONTENT_LENGTH).iter().count() > 1 {
        return Err(Refusal::BadFraming("two lengths"));
    }
    if headers.get_all(header::HOST).iter().count() > 1 {
        return Err(Refusal::BadFraming("there must be one Host"));
    }
    Ok(())
}

/// `X_Signature` and `X-Signature` are one to a CGI-like application and two to everybody else: the former is nothing here.
pub fn drop_underscored(headers: &mut HeaderMap) {
    let underscored: Vec<HeaderName> =
        headers.keys().filter(|name| name.as_str().contains('_')).cloned().collect();
    for name in underscored {
        headers.remove(name);
    }
}
