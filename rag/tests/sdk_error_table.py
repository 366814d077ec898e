"""What each exception of each SDK, and of the two HTTP libraries below them, becomes here. Frozen: a new version that adds one
is a decision to be taken.

A class stands under the kind of ours that it turns into, or in NEVER under the reason why our calls cannot raise it.
"""

from rag.errors import (
    ProviderBusy,
    ProviderError,
    ProviderMalformed,
    ProviderRefused,
    ProviderTimeout,
    ProviderUnavailable,
)

Kinds = dict[type[ProviderError], str]

STATUS: dict[str, Kinds] = {
    "anthropic": {
        ProviderRefused: """
            APIStatusError AlreadyMemberError AuthenticationError AvailableToolsLimitExceededError
            BadRequestError BetaAPIKeyScopeMissingError BetaBundleAttachmentNotSupportedError
            BetaBundleOnCallError BetaCMEKFeatureUnsupportedError BetaCannotSignOutManagedMemberError
            BetaCannotSignOutMembershipAdminError BetaCannotSignOutOwnerError BetaCannotSignOutPrimaryOwnerError
            BetaCannotSignOutPrivilegedMemberError BetaCannotSignOutSelfError BetaClaudeTagWritesNotEnabledError
            BetaComplianceConfigurationRestrictedError BetaEnvironmentArchivedError
            BetaEnvironmentCreateDisabledError BetaEnvironmentNotFoundError BetaEnvironmentUpdateDisabledError
            BetaHeartbeatPreconditionFailedError BetaInvalidConfigTypeChangeError BetaInvalidMetadataError
            BetaOrganizationLevelScopedAPIKeyRequiredError BetaOrganizationNotEnrolledInBetaError
            BetaPluginNameTakenError BetaRBACGroupManagedSettingsNotFoundError BetaRBACGroupNotFoundError
            BetaRBACGroupOrderLimitExceededError BetaRequestBodyTimeoutError BetaScanFailedError
            BetaScanPendingError BetaSettingsDocumentLimitExceededError BetaSettingsHistoryLimitExceededError
            BetaSkillNameTakenError BetaSlackChannelSetUpEnvironmentNotFoundError
            BetaSlackChannelSetUpSettingsConflictError BetaSlackChannelSetUpSettingsRefusedError
            BetaSpendLimitsAdminAPIWritesNotEnabledError BetaUnsupportedCharsetError CMEKKeyDisabledError
            CMEKKeyNetworkBlockedError CannotInviteEmailsWithUnverifiedDomainsError CannotRemoveLastMemberError
            ClaudeCodeKeyCreatorNotMemberError ClaudeCodeVersionTooOldError ClientClosedRequestError
            CompactionBlockAmbiguousError CompactionBlockMisplacedError CompactionContentMismatchError
            CompactionIncompleteTurnError CompactionNothingToSummarizeError CompactionSignatureInvalidError
            CompactionTooManyToolReferencesError CompactionToolChangesMismatchError
            ConcurrentMembershipChangeError ConflictError ContentTooLargeError EmailDomainNotAllowedError
            ExternalKeyChangedError ExternalKeyInWorkspacePolicyError ExternalKeyValidationFailedError
            ExternalKeyValidationTimedOutError FileExpiredError FileNotDownloadableError
            ImageDimensionsTooLargeError InviteAlreadyExistsError KeyProfileMismatchError NotFoundError
            OrgAPIKeyLimitExceededError OrgMemberLimitExceededError OrganizationOnHoldError
            OrganizationTypeNotSupportedError ParentOrganizationRequiredError PermissionDeniedError
            PreconditionFailedError RBACGroupGrantsOwnerAccessError RBACGroupOwnerAccessUnconfirmedError
            RBACRoleNotFoundError RequestBodyEncodingInvalidError RequestBodyEncodingUnsupportedError
            RequestBodyTooLargeAfterDecodingError RequestHeaderFieldsTooLargeError SandboxEgressRestrictedError
            SkillReadBlockedUndecryptableError StorageQuotaExceededError ThreadAlreadyContinuedError
            ThreadContinueInFlightError ThreadFingerprintMismatchError ThreadNotFoundError
            ThreadUnsupportedRequestError ToolNameConflictError ToolReferenceUnresolvedError
            UnprocessableEntityError UserProfileBillingNotAuthorizedError UserProfileNotBillableError
            UserProfileNotFoundError UserProfileRequiredError WorkspaceAPIKeyLimitExceededError
            WorkspaceMemberLimitExceededError WorkspacePolicyViolationError
            ContractSpendLimitReachedError EnforcedSpendLimitReachedError LinkedOrganizationBillingUnavailableError
            LinkedOrganizationSpendLimitReachedError PaymentRequiredError
        """,
        ProviderBusy: "RateLimitError RampLimitExceededError OverloadedError CompactionUnavailableError",
        ProviderTimeout: "RequestTimeoutError GatewayTimeoutError",
        ProviderUnavailable: """
            InternalServerError HTTPNotImplementedError ServiceUnavailableError CMEKContextUnavailableError
            CMEKKeyUnreachableError BetaRegistrationPendingError
        """,
    },
    "openai": {
        ProviderRefused: """
            APIStatusError AuthenticationError BadRequestError ConflictError NotFoundError PermissionDeniedError
            UnprocessableEntityError
        """,
        ProviderBusy: "RateLimitError",
        ProviderUnavailable: "InternalServerError",
    },
    "cohere": {
        ProviderRefused: """
            ApiError BadRequestError ClientClosedRequestError ForbiddenError InvalidTokenError NotFoundError
            UnauthorizedError UnprocessableEntityError
        """,
        ProviderBusy: "TooManyRequestsError",
        ProviderTimeout: "GatewayTimeoutError",
        ProviderUnavailable: "InternalServerError NotImplementedError ServiceUnavailableError",
    },
    "voyageai": {},
}
"""Raised for a status, and some of them for a status with a code in the body."""

OTHER: dict[str, Kinds] = {
    "anthropic": {ProviderMalformed: "APIResponseValidationError"},
    "openai": {ProviderMalformed: "APIResponseValidationError"},
    "cohere": {ProviderMalformed: "ParsingError"},
    "voyageai": {ProviderMalformed: "APIError"},
}
"""Raised for a body."""

WRAPPED = "APIConnectionError APITimeoutError"
"""What Anthropic's and OpenAI's SDKs wrap a failure of httpx2 in: it becomes what its cause becomes."""

TRANSPORT: Kinds = {
    ProviderTimeout: "TimeoutException ConnectTimeout ReadTimeout WriteTimeout PoolTimeout",
    ProviderMalformed: "DecodingError",
    ProviderRefused: "InvalidURL UnsupportedProtocol LocalProtocolError",
    ProviderUnavailable: """
        RequestError TransportError NetworkError ConnectError ReadError WriteError CloseError ProtocolError
        RemoteProtocolError ProxyError TooManyRedirects
    """,
}
"""The same in httpx and httpx2."""

UNSENT = "ConnectError ConnectTimeout PoolTimeout ProxyError"
"""Those that end a call before any of it has left: they cost nothing."""

OUT_OF_CREDIT = """
    ContractSpendLimitReachedError EnforcedSpendLimitReachedError LinkedOrganizationBillingUnavailableError
    LinkedOrganizationSpendLimitReachedError PaymentRequiredError
"""
"""Told as 402 whatever their status is, so that the breaker knows that every call fails alike."""

NEVER: dict[str, dict[str, str]] = {
    "anthropic": {
        "only its children are raised": "AnthropicError APIError",
        "we receive no webhooks": "APIWebhookValidationError",
        "the key is always given": """
            CredentialsError IdentityTokenFileError WorkloadIdentityError MutuallyExclusiveAuthError
        """,
        "we give the model no tools": """
            ToolsetClosedError ToolsetConfigError ToolsetContractError ToolsetUsageError ToolsetsFixedError
        """,
        "only middleware raises it, and we have none": "RetryableError",
        "we use no optional extra": "MissingDependencyError",
        "a stream is read once": "StreamAlreadyConsumed",
    },
    "openai": {
        "only its children are raised outside streams": "OpenAIError APIError",
        "we receive no webhooks": "InvalidWebhookSignatureError",
        "the key is always given": "OAuthError SubjectTokenProviderError MutuallyExclusiveAuthError",
        "we ask for embeddings, not for completions": """
            LengthFinishReasonError ContentFilterFinishReasonError StreamAlreadyConsumed
        """,
        "we use no agents": """
            AgentFilePreparationError AgentFileStagingError AgentOutputParseError AgentTurnResultError
        """,
        "we open no web sockets": "WebSocketConnectionClosedError WebSocketQueueFullError",
        "we use no optional extra": "MissingDependencyError",
        "we do not call what was removed": "APIRemovedInV1",
    },
    "cohere": {},
    "voyageai": {
        "only its children are raised": "VoyageError",
        "our session raises NoSuccess before the SDK sees the status": """
            InvalidRequestError MalformedRequestError RateLimitError ServerError ServiceUnavailableError
        """,
        "the key is always given, and our session raises NoSuccess for a wrong one": "AuthenticationError",
        "our session raises httpx's errors, which the SDK does not know": "APIConnectionError Timeout",
        "the SDK itself never raises it": "TryAgain",
        "we embed no videos": "VideoProcessingError",
    },
    "httpx": {
        "only its children are raised": "HTTPError StreamError",
        "only raise_for_status raises it, and the SDKs translate it": "HTTPStatusError",
        "we send no cookies": "CookieConflict",
        "bodies are bytes, and answers are read as a whole": """
            RequestNotRead ResponseNotRead StreamClosed StreamConsumed
        """,
    },
}
NEVER["httpx2"] = NEVER["httpx"] | {"the SDKs read their event streams themselves": "SSEError"}
