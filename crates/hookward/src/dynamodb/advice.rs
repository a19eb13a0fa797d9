//! What to do about a table that cannot be worked with: each command that meets one says the same.

/// About a table that is not there.
pub(crate) const NO_TABLE: &str =
    "run `hookward dynamodb create`, or correct `table` and `region` in [store]";

/// About a table of somebody else's.
pub(crate) const FOREIGN_TABLE: &str = "keys cannot be changed: give another name as `table` in [store], and run `hookward dynamodb create`";

/// About credentials that are missing or not taken.
pub(crate) const NO_CREDENTIALS: &str =
    "set AWS_PROFILE or AWS_ACCESS_KEY_ID and its secret, or give the machine a role";

/// About credentials that may not do what a command does.
pub(crate) const DENIED: &str =
    "give these credentials the policy of `hookward dynamodb iam` for what they are to do";

/// About anything else.
const LOOK: &str = "`hookward doctor` looks at credentials, endpoint and table";

/// About a failure of a call that does nothing more than read or write items, by the code that DynamoDB gives to it.
pub(crate) fn about(failure: &str) -> &'static str {
    let has = |any: &[&str]| any.iter().any(|part| failure.contains(part));
    if has(&["ResourceNotFoundException"]) {
        NO_TABLE
    } else if has(&["ValidationException"])
        && has(&["key element", "key schema", "Missing the key"])
    {
        FOREIGN_TABLE
    } else if has(&["AccessDeniedException"]) {
        DENIED
    } else if has(&["there are no credentials", "UnrecognizedClient", "ExpiredToken", "Signature"])
    {
        NO_CREDENTIALS
    } else {
        LOOK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_with_what_to_do_about_it() {
        let refused = |code: &str| format!("GetItem: DynamoDB refuses: {code}");
        for (failure, expected) in [
            (refused("ResourceNotFoundException: Requested resource not found"), NO_TABLE),
            (
                refused("ValidationException: The provided key element does not match the schema"),
                FOREIGN_TABLE,
            ),
            (refused("ValidationException: The number of conditions on the keys is invalid"), LOOK),
            (refused("AccessDeniedException: User is not authorized"), DENIED),
            (refused("there are no credentials: dispatch failure"), NO_CREDENTIALS),
            (refused("UnrecognizedClientException: the token is invalid"), NO_CREDENTIALS),
            ("GetItem: DynamoDB did not answer in time".to_owned(), LOOK),
        ] {
            assert_eq!(about(&failure), expected, "{failure}");
        }
    }
}
