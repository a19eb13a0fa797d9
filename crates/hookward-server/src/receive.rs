//! The whole path of one incoming webhook, from its head to its answer.

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use hookward_core::{
    Event, Head, Intake, Refusal, Request,
    answer::{self, Statuses},
    handshake::Challenge,
    limits,
    reception::{self, Reception},
};
use hookward_store::{Claim, Receipt, StoreError};
use http::{HeaderMap, Version, header};
use http_body_util::Full;
use hyper::body::Body;

use crate::{
    answer::{Answer, ReceiveError},
    body::{self, BodyError},
    gateway::{Gateway, LOG_BUDGET, NotLearnt, Route},
    metrics::RequestOutcome,
};

/// Answers one request. Never fails, and says 2xx only for what the store holds durably.
pub async fn receive<B>(gateway: &Gateway, peer: IpAddr, request: http::Request<B>) -> Answer
where
    B: Body<Data = Bytes>,
{
    let started = gateway.clock.elapsed();
    let routes = gateway.routes();
    let route = routes.at(request.uri().path());
    let result = match route {
        Some(route) => take(gateway, route, peer, request).await,
        None => Err(not_found(&request).into()),
    };
    let took = gateway.clock.elapsed().saturating_sub(started);
    let metrics = route.map_or(&gateway.unknown_source, |route| &route.metrics);
    match result {
        Ok((outcome, answer)) => {
            metrics.count(outcome, took);
            tracing::debug!(
                source = route.map(|it| it.source.name().as_str()),
                outcome = outcome.as_str(),
                took_us = took.as_micros(),
                "webhook {}",
                outcome.as_str()
            );
            answer
        }
        Err(error) => {
            metrics.count(RequestOutcome::of_error(&error), took);
            if let ReceiveError::Refused(Refusal::KeyPending { .. }) = &error {
                gateway.errands.wake();
            }
            if let (Some(route), ReceiveError::Refused(Refusal::WrongSignature)) = (route, &error) {
                let name = route.source.name();
                // A doubt that comes too soon after another one is as good as told.
                gateway.doubts.note(name, &route.doubt_budget, gateway.clock.elapsed()).ok();
            }
            log(gateway, route, peer, &error);
            let statuses = route.map(|route| Statuses::of(route.source.rules()));
            let statuses = statuses.unwrap_or_default();
            error.answer(statuses, fastrand::f64())
        }
    }
}

/// Admits, keeps, then acknowledges.
async fn take<B>(
    gateway: &Gateway,
    route: &Route,
    peer: IpAddr,
    request: http::Request<B>,
) -> Result<(RequestOutcome, Answer), ReceiveError>
where
    B: Body<Data = Bytes>,
{
    let event = match admit(gateway, route, peer, request).await {
        Ok(event) => event,
        Err(ReceiveError::Refused(Refusal::Handshake(challenge))) => {
            return shake_hands(gateway, route, *challenge).await;
        }
        Err(error) => return Err(error),
    };
    let receipt = append(gateway, event.clone()).await?;
    if let Receipt::Conflict { .. } = &receipt {
        // Same id, other content: kept where a person sees it.
        append(gateway, event.clone().into_conflict()).await?;
    }
    if let (Receipt::Kept { .. }, Intake::Deliver, Some(wake)) =
        (&receipt, event.intake, &route.wake)
    {
        wake.notify_one();
    }
    let duplicate = matches!(receipt, Receipt::Duplicate { .. });
    let answer = answer::accepted(route.source.rules(), duplicate).map(Full::new);
    Ok((RequestOutcome::of_receipt(&receipt, event.intake), answer))
}

/// Answers a sender's question, once what it brings is kept.
async fn shake_hands(
    gateway: &Gateway,
    route: &Route,
    challenge: Challenge,
) -> Result<(RequestOutcome, Answer), ReceiveError> {
    let source = route.source.name();
    if let Some(secret) = &challenge.secret {
        let learner = gateway.learner.get().ok_or(Refusal::HandshakeRefused { status: 403 })?;
        match learner.learn(source, secret).await {
            Ok(()) => {
                tracing::warn!(%source, "the sender's secret was learnt from its handshake");
                gateway.doubts.learnt(source);
            }
            Err(NotLearnt::Known) => {
                return Err(Refusal::HandshakeRefused { status: 403 }.into());
            }
            Err(NotLearnt::Failed(cause)) => {
                // Strangers can cause it, so it is logged no more often than refusals are.
                if route.log_budget.take(&LOG_BUDGET, gateway.clock.elapsed()).is_ok() {
                    tracing::error!(%source, %cause, "the sender's secret cannot be kept");
                }
                return Err(Refusal::HandshakeRefused { status: 403 }.into());
            }
        }
    }
    if let Some(url) = &challenge.visit
        && !gateway.errands.visit(source, url.clone())
    {
        return Err(Refusal::SourceBudget { retry_after: NO_ROOM_RETRY_AFTER }.into());
    }
    Ok((RequestOutcome::Refused("handshake"), answer::challenge(&challenge).map(Full::new)))
}

/// The steps to an event, cheap and safe ones first. What is not verified costs no store call. The request goes when this
/// ends: while its event is being stored, the connection can use its buffer again.
async fn admit<B>(
    gateway: &Gateway,
    route: &Route,
    peer: IpAddr,
    request: http::Request<B>,
) -> Result<Event, ReceiveError>
where
    B: Body<Data = Bytes>,
{
    let rules = route.source.rules();
    let stopping = gateway.is_stopping();
    let (mut parts, body) = request.into_parts();
    check_framing(parts.version, &parts.headers)?;
    reception::drop_underscored(&mut parts.headers);
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let head = Head { method: &parts.method, target, headers: &parts.headers };
    let reception = Reception {
        source: &route.source,
        trusted_proxies: &gateway.trusted_proxies,
        unverified: &gateway.unverified,
        budget: &route.budget,
    };
    let client = reception.enter(&head, peer, gateway.clock.elapsed())?;
    let now = gateway.clock.now();
    let awaited = reception.screen(&head, now)?;
    let mut holding = gateway.in_flight.request(client, rules.body_bytes_max);
    let body = body::read(body, rules.body_bytes_max, rules.body_timeout, &mut holding).await;
    let body = body.map_err(|error| match error {
        BodyError::TooLarge => Refusal::BodyTooLarge { max: rules.body_bytes_max },
        BodyError::TooSlow => Refusal::BodyTooSlow,
        BodyError::Broken => Refusal::BadFraming("the body broke off"),
        BodyError::NoRoom => Refusal::UnverifiedBudget { retry_after: NO_ROOM_RETRY_AFTER },
    })?;
    let request = Request { head, body };
    let verified = reception.verify(awaited, request, client, now, gateway.clock.elapsed())?;
    drop(holding);
    // What was on its way when the gateway was told to stop is finished; what came later is told so, once it is verified.
    if stopping {
        return Err(ReceiveError::ShuttingDown);
    }
    Ok(verified.admit()?)
}

/// Where there is no source an ambiguous request is still one, and ends its connection.
fn not_found<B>(request: &http::Request<B>) -> Refusal {
    check_framing(request.version(), request.headers()).err().unwrap_or(Refusal::UnknownSource)
}

async fn append(gateway: &Gateway, event: Event) -> Result<Receipt, ReceiveError> {
    match tokio::time::timeout(limits::APPEND_TIMEOUT, gateway.store.append(event, Claim::Queue))
        .await
    {
        Ok(receipt) => Ok(receipt?),
        Err(_) => Err(ReceiveError::StoreTimeout),
    }
}

/// When to come back where there was no room for a body: what takes it is gone within seconds.
const NO_ROOM_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What hyper lets pass and two readers could understand differently.
fn check_framing(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    reception::check_framing(headers)?;
    if version == Version::HTTP_10 && headers.contains_key(header::TRANSFER_ENCODING) {
        return Err(Refusal::BadFraming("Transfer-Encoding in HTTP/1.0"));
    }
    if version == Version::HTTP_11 && !headers.contains_key(header::HOST) {
        return Err(Refusal::BadFraming("there must be one Host"));
    }
    Ok(())
}

/// Refusals in bounded number, faults always; a request's own bytes never.
fn log(gateway: &Gateway, route: Option<&Arc<Route>>, peer: IpAddr, error: &ReceiveError) {
    let source = route.map_or("", |route| route.source.name().as_str());
    match error {
        ReceiveError::Refused(refusal) => {
            let within = route.is_none_or(|route| {
                route.log_budget.take(&LOG_BUDGET, gateway.clock.elapsed()).is_ok()
            });
            if route.is_some() && within {
                tracing::info!(source, %peer, reason = refusal.as_str(), "webhook refused: {refusal}");
            } else {
                tracing::debug!(source, %peer, reason = refusal.as_str(), "webhook refused: {refusal}");
            }
        }
        ReceiveError::Store(StoreError::Unavailable(cause)) => {
            tracing::error!(source, %cause, "webhook not kept, sender told to try again: {error}");
        }
        ReceiveError::Store(StoreError::TooLarge { .. }) => {
            tracing::warn!(
                source,
                "webhook refused, its sender told that it is too large: {error}; lower `body_max`, or give a DynamoDB store a `large_bodies_bucket`"
            );
        }
        ReceiveError::Store(_) | ReceiveError::StoreTimeout | ReceiveError::ShuttingDown => {
            tracing::warn!(source, "webhook not kept, sender told to try again: {error}");
        }
    }
}
