//! Where and as whom AWS is spoken to: what the caller says, and the environment where it says nothing.

use std::{net::IpAddr, time::Duration};

use aws_config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig};
use hookward_core::limits;
use hookward_store::dynamodb;
use http::Uri;

/// Connections for secrets: one for each that is asked for at once.
const SECRET_CONNECTIONS: usize = 8;

/// One try for a secret may take so long.
const SECRET_ATTEMPT: Duration = Duration::from_secs(3);

/// What a variable of the environment says that it may not say.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfit(String);

/// Clients for secrets, with the patience of who waits for a gateway to start.
#[derive(Debug)]
pub struct SecretClients {
    /// Of Secrets Manager.
    pub secrets: aws_sdk_secretsmanager::Client,
    /// Of Systems Manager.
    pub parameters: aws_sdk_ssm::Client,
    /// Whether a region is known without being named.
    pub has_region: bool,
}

/// The way to secrets, `region` being the one of those that name none. Only the environment says where they are, if not at Amazon.
pub async fn secret_clients(region: Option<&str>) -> Result<SecretClients, Unfit> {
    const VARIABLES: [&str; 3] =
        ["AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL_SSM", "AWS_ENDPOINT_URL"];
    VARIABLES.into_iter().try_for_each(|variable| fit(variable, "secret"))?;
    let shared = environment(region, SECRET_CONNECTIONS).await;
    let retry = RetryConfig::standard().with_max_attempts(3);
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(SECRET_ATTEMPT)
        .operation_timeout(limits::SECRETS_TIMEOUT)
        .build();
    let secrets = aws_sdk_secretsmanager::config::Builder::from(&shared)
        .retry_config(retry.clone())
        .timeout_config(timeouts.clone());
    let parameters =
        aws_sdk_ssm::config::Builder::from(&shared).retry_config(retry).timeout_config(timeouts);
    Ok(SecretClients {
        secrets: aws_sdk_secretsmanager::Client::from_conf(secrets.build()),
        parameters: aws_sdk_ssm::Client::from_conf(parameters.build()),
        has_region: shared.region().is_some(),
    })
}

/// Where the environment says where DynamoDB is spoken. The first one that is set counts.
pub const ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL"];

/// The way to DynamoDB, and its region. What is said goes before what the environment says.
pub async fn table(
    region: Option<&str>,
    endpoint: Option<&str>,
    connections: usize,
) -> Result<(aws_sdk_dynamodb::config::Builder, Region), Unfit> {
    let (shared, region) = found(region, connections).await?;
    let mut connection = aws_sdk_dynamodb::config::Builder::from(&shared);
    if let Some(endpoint) = endpoint {
        fit_url("the endpoint", endpoint, "event")?;
        connection = connection.endpoint_url(endpoint);
    } else {
        ENDPOINT_VARIABLES.into_iter().try_for_each(|variable| fit(variable, "event"))?;
    }
    Ok((connection, region))
}

/// The way to S3. Only the environment says where it is, if not at Amazon.
pub async fn bucket(region: Option<&str>) -> Result<aws_sdk_s3::config::Builder, Unfit> {
    let (shared, _) = found(region, BUCKET_CONNECTIONS).await?;
    let variables = ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];
    variables.into_iter().try_for_each(|variable| fit(variable, "event"))?;
    // What is not Amazon's own seldom has a name for each bucket.
    let elsewhere = variables.into_iter().any(|variable| crate::variable(variable).is_some());
    Ok(aws_sdk_s3::config::Builder::from(&shared).force_path_style(elsewhere))
}

/// Connections to S3 that are kept: large bodies are few.
const BUCKET_CONNECTIONS: usize = 16;

/// What the AWS SDK finds in the environment, with a region in any case.
async fn found(
    region: Option<&str>,
    connections: usize,
) -> Result<(aws_config::SdkConfig, Region), Unfit> {
    let shared = environment(region, connections).await;
    match shared.region().cloned() {
        Some(region) => Ok((shared, region)),
        None => {
            Err(Unfit("no AWS region: write `region` into [store], or set AWS_REGION".to_owned()))
        }
    }
}

/// What the AWS SDK finds in the environment, in this region if it is said.
async fn environment(region: Option<&str>, connections: usize) -> aws_config::SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12())
        .http_client(dynamodb::http_client(connections));
    if let Some(region) = region {
        loader = loader.region(Region::new(region.to_owned()));
    }
    loader.load().await
}

/// What the file may not say, the environment may not say either: see `endpoint` in the configuration.
fn fit(variable: &str, shown: &str) -> Result<(), Unfit> {
    crate::variable(variable).map_or(Ok(()), |url| fit_url(variable, &url, shown))
}

fn fit_url(variable: &str, url: &str, shown: &str) -> Result<(), Unfit> {
    if !is_absolute(url) {
        return Err(Unfit(format!(
            "{variable} is {url:?}: write an absolute URL, such as http://127.0.0.1:8000, or unset it"
        )));
    }
    if is_plain_to_another_machine(url) {
        return Err(Unfit(format!(
            "{variable}: plain http to another machine would show every {shown} to the network; use https"
        )));
    }
    Ok(())
}

fn is_absolute(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|url| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && url.host().is_some_and(|it| !it.is_empty())
    })
}

fn is_plain_to_another_machine(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else { return false };
    url.scheme_str() == Some("http") && !is_here(&url)
}

/// Whether this machine is meant.
pub fn is_here(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    literal == "localhost" || literal.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_urls_are_endpoints() {
        for (url, expected) in [
            ("http://127.0.0.1:8000", true),
            ("https://dynamodb.example/", true),
            ("foo", false),
            ("localhost:8000", false),
            ("/foo", false),
            ("ftp://localhost", false),
            ("http//localhost", false),
            ("http://", false),
            ("", false),
        ] {
            assert_eq!(is_absolute(url), expected, "{url:?}");
        }
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_the_clear() {
        for (url, is_refused) in [
            ("http://127.0.0.1:8000", false),
            ("http://localhost:8000", false),
            ("http://[::1]:8000", false),
            ("https://dynamodb.eu-central-1.amazonaws.com", false),
            ("http://10.0.0.1:8000", true),
            ("http://alternator:8000", true),
        ] {
            assert_eq!(is_plain_to_another_machine(url), is_refused, "{url}");
        }
    }
}
