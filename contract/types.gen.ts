// Made from openapi.yaml by `deno task contract`; edit that file, not this one.
export interface paths {
    "/api/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Is the service up?
         *
         * Never touches the database; `/readyz` does.
         */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/login": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Get a token.
         *
         * With `AUTH_MODE=legacy` the email alone decides, and the token is not valid in `required`.
         * With `AUTH_MODE=required` the password is checked too, and too many failures of an account
         * or from an address are 429. Everything else than the credentials of an account is the same
         * 401, also a body that is missing or of another type. Further fields are ignored.
         */
        post: operations["login"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/logout": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * End a token.
         *
         * Every process of the service refuses this request's token within seconds. Other tokens of
         * the account stay valid. The body isn't read. With `AUTH_MODE=legacy` a request without a
         * valid token is 204 as well.
         */
        post: operations["logout"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/traceability/{lotCode}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One lot with its parents and children, one hop.
         *
         * Parents are the lots that it was made of, children the lots made of it. There is one entry a
         * link, so a lot that is linked twice appears twice, in the order in which the links were
         * made. A lot may be its own parent. Links with a missing side are left out. The query string
         * is ignored.
         * A lot with very many links takes longer than others, up to 25 seconds. One with more than
         * 250,000 links, or whose trace is larger than 134,217,728 bytes, is refused with 413: `POST
         * /api/traces` returns it in pages.
         */
        get: operations["getTraceability"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/lots": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Store a lot.
         *
         * It creates no links: parents named in `metadata` are only stored there. A field that is
         * absent gets its default; a null stays null. With `AUTH_MODE=required` an absent or null
         * `operator_id` becomes the caller. Another's is 403, unless the caller is ADMIN or MANAGER.
         */
        post: operations["createLot"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/qc-decisions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Store a decision about a lot at a QC gate.
         *
         * At least one field must be present. A FAIL without notes is accepted, and so is a record
         * without a decision: the plant's terminals send both. With `AUTH_MODE=required` an absent or
         * null `operator_id` becomes the caller. Another's is 403, unless the caller is ADMIN or
         * MANAGER.
         */
        post: operations["createQcDecision"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/traces": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Trace a lot through all levels.
         *
         * Finds all lots that can be reached over links, each once with its smallest depth, and the
         * links between them. A trace that takes under 200 ms comes at once. For a larger one the
         * response is 202, and its `Location` shows the progress and, later, the result. A result
         * shows one moment, `as_of`, and stays as it is for 7 days. `out_of_date` is true when one of
         * its lots, or a link at one, has changed since.
         * A request for the same trace gets the one that waits, runs or is stored already, of any
         * account, if it shows all that is stored by now. An account may have 50 traces that wait or
         * run; the next one is 429.
         */
        post: operations["createDeepTrace"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/traces/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * A deep trace, its progress and its result.
         *
         * The result comes page by page: lots first, by depth, code (by its bytes) and id; then links,
         * by the depth of their parent. Everything else is on each page. Follow `next_cursor` until it
         * is null. The result never changes, so no item is missing or comes twice. A page may hold
         * fewer items than `limit` where they are large.
         * With `Accept: application/x-ndjson` the whole result comes as lines of JSON, whatever
         * `limit` and `cursor` are. The first line, `{"type":"trace",…}`, has everything but lots and
         * links. Then each lot is `{"type":"lot",…}` and each link `{"type":"link",…}`. `lot_count`
         * and `link_count` of the first line are the numbers of lines to come. The last line,
         * `{"type":"end",…}`, has the numbers of lines sent: without it the response is incomplete. A
         * response that can't be completed breaks the connection. Other parameters in the query are
         * ignored. One of these that appears twice is refused.
         */
        get: operations["getDeepTrace"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/audits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The audits, the newest first.
         *
         * Audits are kept for 90 days, the last one that is done for longer.
         */
        get: operations["listAudits"];
        put?: never;
        /**
         * Audit the genealogy.
         *
         * A worker reads all lots, links and decisions of one moment, and stores what is wrong with
         * them. `GET /api/audits/{id}` shows its progress. There is one audit at a time: while one
         * waits or runs, the response is that one. Another audit runs every night.
         */
        post: operations["createAudit"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/audits/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * One audit with its findings.
         *
         * Findings come by kind, and then in an order that doesn't change. There are none until the
         * audit is done. A page holds fewer than `limit` when they would be too large together. There
         * is more as long as `next_cursor` isn't null.
         */
        get: operations["getAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/.well-known/jwks.json": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The public keys of the tokens.
         *
         * A JSON Web Key Set (RFC 7517).
         */
        get: operations["getSigningKeys"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/livez": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Is the process alive?
         *
         * For a supervisor that restarts a process that hangs.
         */
        get: operations["getLiveness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Can the process do its work?
         *
         * 503 while PostgreSQL doesn't respond, refuses the login, is read-only or lacks migrations.
         * Then `error` says what is wrong, and `details` has what to do for each failed check
         * (`database`, `read_only`, `migrations`). The response 200 has the state of Valkey. A process
         * without Valkey is ready: it is slower, not wrong.
         */
        get: operations["getReadiness"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/metrics": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * The counters of this process.
         *
         * Counters since the start of the process, in Prometheus' text format: logins, refused
         * requests, and, with `AUTH_MODE=legacy`, requests that `required` would have refused. Then
         * come gauges of the background work of all processes. They are read from PostgreSQL, and left
         * out when it doesn't respond within a second. A scraper sends `METRICS_TOKEN` as its bearer
         * token.
         */
        get: operations["getMetrics"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        ErrorResponse: ErrorResponse;
        ErrorDetail: ErrorDetail;
        Uuid: Uuid;
        UuidInput: UuidInput;
        Decimal: Decimal;
        DecimalInput: DecimalInput;
        Timestamp: Timestamp;
        TimestampInput: TimestampInput;
        JsonValue: JsonValue;
        JsonValueInput: JsonValueInput;
        StorableJson: StorableJson;
        TextInput: TextInput;
        LotCodeInput: LotCodeInput;
        LotType: LotType;
        QcVerdict: QcVerdict;
        Role: Role;
        JobState: JobState;
        TraceDirection: TraceDirection;
        HealthStatus: HealthStatus;
        Health: Health;
        Credentials: Credentials;
        User: User;
        Session: Session;
        Lot: Lot;
        LotInput: LotInput;
        Trace: Trace;
        QcDecisionInput: QcDecisionInput;
        QcDecision: QcDecision;
        DeepTraceInput: DeepTraceInput;
        DeepTrace: DeepTrace;
        DeepTraceProgress: DeepTraceProgress;
        DeepTraceResult: DeepTraceResult;
        DeepTraceLot: DeepTraceLot;
        DeepTraceLink: DeepTraceLink;
        DeepTraceTotal: DeepTraceTotal;
        AuditInput: AuditInput;
        AuditFindingKind: AuditFindingKind;
        AuditFindingSeverity: AuditFindingSeverity;
        AuditFindingStanding: AuditFindingStanding;
        AuditFindingCursor: AuditFindingCursor;
        Audit: Audit;
        AuditWithFindings: AuditWithFindings;
        AuditPage: AuditPage;
        AuditProgress: AuditProgress;
        AuditSummary: AuditSummary;
        AuditTemperatures: AuditTemperatures;
        TemperatureRange: TemperatureRange;
        AuditFindingCount: AuditFindingCount;
        AuditFinding: AuditFinding;
        AuditFindingNumbers: AuditFindingNumbers;
        AuditFindingNumber: AuditFindingNumber;
        AuditedLot: AuditedLot;
        SigningKeySet: SigningKeySet;
        SigningKey: SigningKey;
        SigningKeyType: SigningKeyType;
        SigningKeyCurve: SigningKeyCurve;
        SigningKeyAlgorithm: SigningKeyAlgorithm;
        SigningKeyUse: SigningKeyUse;
        LivenessStatus: LivenessStatus;
        Liveness: Liveness;
        ReadinessStatus: ReadinessStatus;
        ValkeyState: ValkeyState;
        ReplicaState: ReplicaState;
        Readiness: Readiness;
    };
    responses: {
        /** The body that the client has is still current. */
        NotModified: {
            headers: {
                ETag: components["headers"]["ETag"];
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content?: never;
        };
        /** The body is no JSON, or the path holds a broken percent escape. */
        BadRequest: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "The body is not valid JSON: line 1, column 14"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** No account with this email and password. */
        WrongCredentials: {
            headers: {
                ETag: components["headers"]["ETag"];
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                "application/json": ErrorResponse;
            };
        };
        /** AUTH_MODE=required: no valid token. */
        Unauthorized: {
            headers: {
                "WWW-Authenticate": components["headers"]["Challenge"];
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "The token is not valid, or not any more: log in again"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** AUTH_MODE=required: the role may not do this. */
        Forbidden: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "Your role may not do this"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** There is no such lot. */
        NotFound: {
            headers: {
                ETag: components["headers"]["ETag"];
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "Lot not found"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** There is no such lot. The sentence names a lot whose code differs in letter case. */
        UnknownLot: {
            headers: {
                ETag: components["headers"]["ETag"];
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "Lot not found: mix-batch-88; lot codes are case-sensitive, and MIX-BATCH-88 exists"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** There is no such trace, or no such page of it, or it was deleted. */
        NoSuchTrace: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "There is no such trace"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** There is no such audit. */
        NoSuchAudit: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "There is no such audit"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** The path exists, but not with this method. */
        MethodNotAllowed: {
            headers: {
                Allow: components["headers"]["Allow"];
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "This path answers OPTIONS, POST"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** The body took too long to arrive. */
        TooSlow: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "The body took too long to arrive"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /**
         * The code or id is taken, a reference leads nowhere, or the `Idempotency-Key` was used for
         * another request. With `Retry-After`: the first request with this key is still in progress.
         */
        Conflict: {
            headers: {
                "Retry-After": components["headers"]["RetryInFlight"];
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "Lot code RAW-1 is taken"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /**
         * The `Idempotency-Key` was used for another request. With `Retry-After`: the first request
         * with this key is still in progress.
         */
        InFlight: {
            headers: {
                "Retry-After": components["headers"]["RetryInFlight"];
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "The first request with this Idempotency-Key is still being worked on, try again shortly"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** The lot has more than 250,000 links, or its trace more than 134,217,728 bytes. */
        TraceTooLarge: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "The lot has more than 250000 links, or its trace more than 134217728 bytes: take it in pages with POST /api/traces"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** The body is larger than 102,400 bytes after inflating. */
        TooLarge: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "The body is larger than 102400 bytes"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** The body is not application/json in UTF-8, plain, gzip or deflate. */
        UnsupportedMediaType: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "The body must be sent as application/json"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** The request is JSON but outside this contract; details name the places. */
        OutsideContract: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "lot_code is missing",
                 *       "details": [
                 *         {
                 *           "path": "lot_code",
                 *           "message": "is missing"
                 *         }
                 *       ]
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** Too many tries, or too much work of one account waits already. */
        TooMany: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "Too many failed logins, try again later"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** A fault of the service; the log has its cause. */
        Fault: {
            headers: {
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "Something went wrong on our side"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
        /** The database is unavailable or too slow, or the service is overloaded. */
        Away: {
            headers: {
                "Retry-After": components["headers"]["RetryAfter"];
                "X-Request-Id": components["headers"]["RequestId"];
                [name: string]: unknown;
            };
            content: {
                /**
                 * @example {
                 *       "error": "The database is away or too slow, try again shortly"
                 *     }
                 */
                "application/json": ErrorResponse;
            };
        };
    };
    parameters: {
        /**
         * A name for this request, new for each one: 1 to 255 visible ASCII characters, such as a
         * UUID, bare or in quotes. A repeat with the same key has no second effect and gets the first
         * response; see **Repeats**.
         */
        IdempotencyKey: string;
    };
    requestBodies: never;
    headers: {
        /**
         * Weak validator of this body, for If-None-Match.
         * @example W/"2c-E3q1hCP1fGP7k3UdH0Cq4Uo3Q1U"
         */
        ETag: string;
        /**
         * Where the trace is.
         * @example /api/traces/5b0c3c2e-4f52-4d6f-8a54-0f6f6d1c9a10
         */
        TraceLocation: string;
        /**
         * The methods of this path.
         * @example GET, HEAD, OPTIONS
         */
        Allow: string;
        /**
         * Where the audit is.
         * @example /api/audits/44444444-4444-4444-8444-444444444401
         */
        AuditLocation: string;
        /**
         * How to authenticate (RFC 6750).
         * @example Bearer realm="lotline", error="invalid_token"
         */
        Challenge: string;
        /**
         * Seconds to wait before the next try.
         * @example 1
         */
        RetryAfter: string;
        /**
         * Seconds to wait, where the first request with the key is still in progress.
         * @example 1
         */
        RetryInFlight: string;
        /**
         * Names the request in the service's log: the id that the client sent in `X-Request-Id`, or a
         * new one.
         * @example 0f8f7a52-7d0c-4f4e-9a52-6f0b6f1f3c11
         */
        RequestId: string;
        /** This is the first response again; the repeat had no effect. */
        IdempotencyReplayed: "true";
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** The service is up. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ok",
                     *       "timestamp": "2026-01-18T06:02:00.000Z"
                     *     }
                     */
                    "application/json": Health;
                };
            };
            304: components["responses"]["NotModified"];
            405: components["responses"]["MethodNotAllowed"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    login: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "email": "admin@flowviz.com",
                 *       "password": "correct horse battery staple"
                 *     }
                 */
                "application/json": Credentials;
            };
        };
        responses: {
            /** The account and a signed token. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "user": {
                     *         "id": "00000000-0000-0000-0000-000000000001",
                     *         "email": "admin@flowviz.com",
                     *         "full_name": "Szabó Anna",
                     *         "role": "ADMIN",
                     *         "created_at": "2026-01-01T08:00:00.000Z",
                     *         "last_login": null
                     *       },
                     *       "token": "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIwMDAifQ.c2lnbmF0dXJl"
                     *     }
                     */
                    "application/json": Session;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["WrongCredentials"];
            405: components["responses"]["MethodNotAllowed"];
            408: components["responses"]["TooSlow"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["OutsideContract"];
            429: components["responses"]["TooMany"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    logout: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * A name for this request, new for each one: 1 to 255 visible ASCII characters, such as a
                 * UUID, bare or in quotes. A repeat with the same key has no second effect and gets the first
                 * response; see **Repeats**.
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** The token is no longer valid. */
            204: {
                headers: {
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content?: never;
            };
            401: components["responses"]["Unauthorized"];
            405: components["responses"]["MethodNotAllowed"];
            409: components["responses"]["InFlight"];
            422: components["responses"]["OutsideContract"];
            429: components["responses"]["TooMany"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    getTraceability: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /**
                 * The lot's code, percent-encoded. It must match exactly.
                 * @example MIX-BATCH-88
                 */
                lotCode: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** The lot with one hop in both directions. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "central": {
                     *         "id": "22222222-2222-2222-2222-222222222201",
                     *         "lot_code": "MIX-BATCH-88",
                     *         "lot_type": "MIX",
                     *         "production_run_id": "6f1d2c54-8a0b-4e3f-9c61-2b7d5a90e418",
                     *         "phase_id": "00000000-0000-4000-8000-000000930004",
                     *         "operator_id": "00000000-0000-0000-0000-000000000002",
                     *         "weight_kg": "540.00",
                     *         "temperature_c": "1.6",
                     *         "metadata": {
                     *           "recipe": "DONER-BEEF",
                     *           "minutes": 24
                     *         },
                     *         "created_at": "2026-01-18T06:35:00.000Z"
                     *       },
                     *       "parents": [
                     *         {
                     *           "id": "11111111-1111-1111-1111-111111111101",
                     *           "lot_code": "RAW-BEEF-001",
                     *           "lot_type": "RAW",
                     *           "production_run_id": "6f1d2c54-8a0b-4e3f-9c61-2b7d5a90e418",
                     *           "phase_id": "00000000-0000-4000-8000-000000930001",
                     *           "operator_id": "00000000-0000-0000-0000-000000000002",
                     *           "weight_kg": "500.00",
                     *           "temperature_c": "2.4",
                     *           "metadata": {
                     *             "supplier": "Duna Hús Kft.",
                     *             "batch": "L48213",
                     *             "material": "beef, boneless"
                     *           },
                     *           "created_at": "2026-01-18T05:12:00.000Z"
                     *         },
                     *         {
                     *           "id": "11111111-1111-1111-1111-111111111102",
                     *           "lot_code": "RAW-SPICE-001",
                     *           "lot_type": "RAW",
                     *           "production_run_id": "6f1d2c54-8a0b-4e3f-9c61-2b7d5a90e418",
                     *           "phase_id": "00000000-0000-4000-8000-000000930001",
                     *           "operator_id": "00000000-0000-0000-0000-000000000002",
                     *           "weight_kg": "50.00",
                     *           "temperature_c": "18.2",
                     *           "metadata": {
                     *             "supplier": "Fűszermester Kft.",
                     *             "batch": "L70954",
                     *             "material": "döner spice"
                     *           },
                     *           "created_at": "2026-01-18T05:15:00.000Z"
                     *         }
                     *       ],
                     *       "children": [
                     *         {
                     *           "id": "33333333-3333-3333-3333-333333333301",
                     *           "lot_code": "FG-DONER-X1",
                     *           "lot_type": "FG",
                     *           "production_run_id": "6f1d2c54-8a0b-4e3f-9c61-2b7d5a90e418",
                     *           "phase_id": "00000000-0000-4000-8000-000000930007",
                     *           "operator_id": "00000000-0000-0000-0000-000000000002",
                     *           "weight_kg": "530.00",
                     *           "temperature_c": "-20.5",
                     *           "metadata": {
                     *             "product": "Beef kebab, sliced, 1 kg",
                     *             "sku": "BK-1",
                     *             "pieces": 530
                     *           },
                     *           "created_at": "2026-01-18T13:00:00.000Z"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": Trace;
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NotFound"];
            405: components["responses"]["MethodNotAllowed"];
            413: components["responses"]["TraceTooLarge"];
            422: components["responses"]["OutsideContract"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    createLot: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * A name for this request, new for each one: 1 to 255 visible ASCII characters, such as a
                 * UUID, bare or in quotes. A repeat with the same key has no second effect and gets the first
                 * response; see **Repeats**.
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": LotInput;
            };
        };
        responses: {
            /** The lot as stored. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": Lot;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["OutsideContract"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    createQcDecision: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * A name for this request, new for each one: 1 to 255 visible ASCII characters, such as a
                 * UUID, bare or in quotes. A repeat with the same key has no second effect and gets the first
                 * response; see **Repeats**.
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": QcDecisionInput;
            };
        };
        responses: {
            /** The decision as stored. */
            201: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": QcDecision;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["Conflict"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["OutsideContract"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    createDeepTrace: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * A name for this request, new for each one: 1 to 255 visible ASCII characters, such as a
                 * UUID, bare or in quotes. A repeat with the same key has no second effect and gets the first
                 * response; see **Repeats**.
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                /**
                 * @example {
                 *       "lot_code": "RAW-BEEF-001",
                 *       "direction": "downstream"
                 *     }
                 */
                "application/json": DeepTraceInput;
            };
        };
        responses: {
            /** The trace is done; this is the first page. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    ETag: components["headers"]["ETag"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": DeepTrace;
                };
            };
            /** The trace waits or runs. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["TraceLocation"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "5b0c3c2e-4f52-4d6f-8a54-0f6f6d1c9a10",
                     *       "state": "queued",
                     *       "progress": {
                     *         "lots": 0,
                     *         "depth": 0
                     *       },
                     *       "lot_code": "RAW-20260118-DUNA-0001",
                     *       "direction": "downstream",
                     *       "max_depth": null,
                     *       "at_most": 100000,
                     *       "created_at": "2026-01-18T06:02:00.000Z",
                     *       "as_of": null,
                     *       "out_of_date": false,
                     *       "result": null
                     *     }
                     */
                    "application/json": DeepTrace;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["UnknownLot"];
            405: components["responses"]["MethodNotAllowed"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["InFlight"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["OutsideContract"];
            429: components["responses"]["TooMany"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    getDeepTrace: {
        parameters: {
            query?: {
                /** The most lots and links on a page. */
                limit?: number;
                /** The `next_cursor` of the page before, of the same trace; another's is 404. */
                cursor?: string;
            };
            header?: never;
            path: {
                /**
                 * The trace's id.
                 * @example 5b0c3c2e-4f52-4d6f-8a54-0f6f6d1c9a10
                 */
                id: Uuid;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** The trace with one page of its result. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    "application/json": DeepTrace;
                    /**
                     * @example {"type":"trace","id":"5b0c3c2e-4f52-4d6f-8a54-0f6f6d1c9a10","state":"done","progress":{"lots":3,"depth":2},"lot_code":"RAW-BEEF-001","direction":"downstream","max_depth":null,"at_most":100000,"created_at":"2026-01-18T06:02:00.000Z","as_of":"2026-01-18T06:02:00.010Z","out_of_date":false,"result":{"lot_count":3,"link_count":2,"depth_reached":2,"truncated":false,"half_links":0,"totals":[{"lot_type":"RAW","lots":1,"weight_kg":"500.00"},{"lot_type":"MIX","lots":1,"weight_kg":"540.00"},{"lot_type":"FG","lots":1,"weight_kg":"530.00"}],"cycles":[],"cycles_truncated":false}}
                     *     {"type":"lot","id":"33333333-3333-3333-3333-333333333301","lot_code":"FG-DONER-X1","lot_type":"FG","production_run_id":"6f1d2c54-8a0b-4e3f-9c61-2b7d5a90e418","phase_id":"00000000-0000-4000-8000-000000930007","operator_id":"00000000-0000-0000-0000-000000000002","weight_kg":"530.00","temperature_c":"-20.5","metadata":{"product":"Beef kebab, sliced, 1 kg","sku":"BK-1","pieces":530},"created_at":"2026-01-18T13:00:00.000Z","depth":2}
                     *     {"type":"link","parent_lot_id":"22222222-2222-2222-2222-222222222201","child_lot_id":"33333333-3333-3333-3333-333333333301","quantity_used_kg":"530.00"}
                     *     {"type":"end","lot_count":3,"link_count":2}
                     */
                    "application/x-ndjson": string;
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NoSuchTrace"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["OutsideContract"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    listAudits: {
        parameters: {
            query?: {
                /** The most audits on a page. */
                limit?: number;
                /** The `next_cursor` of the page before. */
                cursor?: Uuid;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** One page of audits. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "audits": [
                     *         {
                     *           "id": "44444444-4444-4444-8444-444444444401",
                     *           "state": "done",
                     *           "progress": null,
                     *           "created_at": "2026-01-18T06:02:00.000Z",
                     *           "as_of": "2026-01-18T06:02:01.000Z",
                     *           "finished_at": "2026-01-18T06:02:02.000Z",
                     *           "compared_with": null,
                     *           "summary": {
                     *             "lots": 4294,
                     *             "links": 5623,
                     *             "tolerance_percent": "2",
                     *             "temperatures": {
                     *               "RAW": {
                     *                 "least": "-25",
                     *                 "most": "25"
                     *               },
                     *               "DEB": {
                     *                 "least": "-2",
                     *                 "most": "7"
                     *               },
                     *               "BULK": {
                     *                 "least": "-2",
                     *                 "most": "7"
                     *               },
                     *               "MIX": {
                     *                 "least": "-2",
                     *                 "most": "7"
                     *               },
                     *               "SKW": {
                     *                 "least": "-2",
                     *                 "most": "7"
                     *               },
                     *               "FRZ": {
                     *                 "least": "-40",
                     *                 "most": "-18"
                     *               },
                     *               "FG": {
                     *                 "least": "-40",
                     *                 "most": "-18"
                     *               }
                     *             },
                     *             "findings": [
                     *               {
                     *                 "kind": "gained_weight",
                     *                 "severity": "major",
                     *                 "found": 1,
                     *                 "new": 1,
                     *                 "still_there": 0,
                     *                 "unknown": 0,
                     *                 "gone": 0,
                     *                 "kept": 1,
                     *                 "complete": true
                     *               }
                     *             ]
                     *           }
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": AuditPage;
                };
            };
            304: components["responses"]["NotModified"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["OutsideContract"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    createAudit: {
        parameters: {
            query?: never;
            header?: {
                /**
                 * A name for this request, new for each one: 1 to 255 visible ASCII characters, such as a
                 * UUID, bare or in quotes. A repeat with the same key has no second effect and gets the first
                 * response; see **Repeats**.
                 */
                "Idempotency-Key"?: components["parameters"]["IdempotencyKey"];
            };
            path?: never;
            cookie?: never;
        };
        requestBody?: {
            content: {
                /** @example {} */
                "application/json": AuditInput;
            };
        };
        responses: {
            /** The audit that waits or runs. */
            202: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    ETag: components["headers"]["ETag"];
                    Location: components["headers"]["AuditLocation"];
                    "Idempotency-Replayed": components["headers"]["IdempotencyReplayed"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "44444444-4444-4444-8444-444444444401",
                     *       "state": "queued",
                     *       "progress": null,
                     *       "created_at": "2026-01-18T06:02:00.000Z",
                     *       "as_of": null,
                     *       "finished_at": null,
                     *       "compared_with": null,
                     *       "summary": null
                     *     }
                     */
                    "application/json": Audit;
                };
            };
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            408: components["responses"]["TooSlow"];
            409: components["responses"]["InFlight"];
            413: components["responses"]["TooLarge"];
            415: components["responses"]["UnsupportedMediaType"];
            422: components["responses"]["OutsideContract"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    getAudit: {
        parameters: {
            query?: {
                /** Findings of this kind only. */
                kind?: AuditFindingKind;
                /** Findings of this severity only. */
                severity?: AuditFindingSeverity;
                /** Findings of this standing only. */
                standing?: AuditFindingStanding;
                /** The most findings on a page. */
                limit?: number;
                /** The `next_cursor` of the page before. */
                cursor?: AuditFindingCursor;
            };
            header?: never;
            path: {
                /**
                 * The audit's id.
                 * @example 44444444-4444-4444-8444-444444444401
                 */
                id: Uuid;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** The audit, with one page of its findings. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "id": "44444444-4444-4444-8444-444444444401",
                     *       "state": "done",
                     *       "progress": null,
                     *       "created_at": "2026-01-18T06:02:00.000Z",
                     *       "as_of": "2026-01-18T06:02:01.000Z",
                     *       "finished_at": "2026-01-18T06:02:02.000Z",
                     *       "compared_with": null,
                     *       "summary": {
                     *         "lots": 4294,
                     *         "links": 5623,
                     *         "tolerance_percent": "2",
                     *         "temperatures": {
                     *           "RAW": {
                     *             "least": "-25",
                     *             "most": "25"
                     *           },
                     *           "DEB": {
                     *             "least": "-2",
                     *             "most": "7"
                     *           },
                     *           "BULK": {
                     *             "least": "-2",
                     *             "most": "7"
                     *           },
                     *           "MIX": {
                     *             "least": "-2",
                     *             "most": "7"
                     *           },
                     *           "SKW": {
                     *             "least": "-2",
                     *             "most": "7"
                     *           },
                     *           "FRZ": {
                     *             "least": "-40",
                     *             "most": "-18"
                     *           },
                     *           "FG": {
                     *             "least": "-40",
                     *             "most": "-18"
                     *           }
                     *         },
                     *         "findings": [
                     *           {
                     *             "kind": "gained_weight",
                     *             "severity": "major",
                     *             "found": 1,
                     *             "new": 1,
                     *             "still_there": 0,
                     *             "unknown": 0,
                     *             "gone": 0,
                     *             "kept": 1,
                     *             "complete": true
                     *           }
                     *         ]
                     *       },
                     *       "findings": [
                     *         {
                     *           "kind": "gained_weight",
                     *           "severity": "major",
                     *           "standing": "new",
                     *           "lots": [
                     *             {
                     *               "id": "0b6c1f0e-7d7a-4c0e-9a55-3d2f8f1b7a60",
                     *               "lot_code": "BULK-20260112-TISZA-0001"
                     *             }
                     *           ],
                     *           "numbers": {
                     *             "weight_kg": "6060.80",
                     *             "inputs_kg": "610.58",
                     *             "over_kg": "5450.22"
                     *           }
                     *         }
                     *       ],
                     *       "next_cursor": null
                     *     }
                     */
                    "application/json": AuditWithFindings;
                };
            };
            304: components["responses"]["NotModified"];
            400: components["responses"]["BadRequest"];
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            404: components["responses"]["NoSuchAudit"];
            405: components["responses"]["MethodNotAllowed"];
            422: components["responses"]["OutsideContract"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    getSigningKeys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** The keys that verify a token's signature. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "keys": [
                     *         {
                     *           "kty": "OKP",
                     *           "crv": "Ed25519",
                     *           "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
                     *           "alg": "EdDSA",
                     *           "use": "sig",
                     *           "kid": "55555555-5555-4555-8555-555555555501"
                     *         }
                     *       ]
                     *     }
                     */
                    "application/json": SigningKeySet;
                };
            };
            304: components["responses"]["NotModified"];
            405: components["responses"]["MethodNotAllowed"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    getLiveness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** The process is alive. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "live"
                     *     }
                     */
                    "application/json": Liveness;
                };
            };
            304: components["responses"]["NotModified"];
            405: components["responses"]["MethodNotAllowed"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    getReadiness: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** The process can do its work. */
            200: {
                headers: {
                    ETag: components["headers"]["ETag"];
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example {
                     *       "status": "ready",
                     *       "valkey": "up"
                     *     }
                     */
                    "application/json": Readiness;
                };
            };
            304: components["responses"]["NotModified"];
            405: components["responses"]["MethodNotAllowed"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
    getMetrics: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** The counters of this process since its start. */
            200: {
                headers: {
                    "X-Request-Id": components["headers"]["RequestId"];
                    [name: string]: unknown;
                };
                content: {
                    /**
                     * @example # HELP lotline_required_would_refuse_total Requests that AUTH_MODE=legacy let through and AUTH_MODE=required would refuse.
                     *     # TYPE lotline_required_would_refuse_total counter
                     *     lotline_required_would_refuse_total{operation="createLot",reason="no_token"} 3
                     */
                    "text/plain": string;
                };
            };
            401: components["responses"]["Unauthorized"];
            403: components["responses"]["Forbidden"];
            405: components["responses"]["MethodNotAllowed"];
            500: components["responses"]["Fault"];
            503: components["responses"]["Away"];
        };
    };
}
/** The body of every response that is not a success. */
export type ErrorResponse = {
    /** What is wrong, in one sentence. */
    error: string;
    /** The places of the request that are outside the contract, 100 of them at most. */
    details?: ErrorDetail[];
};
/** One place of a request that is outside the contract. */
export type ErrorDetail = {
    /** Field names joined by dots; empty for the whole body. */
    path: string;
    /** What is wrong there. */
    message: string;
};
/**
 * A UUID: 8-4-4-4-12 hexadecimal digits. Requests may use either case; responses have lower
 * case.
 * @example 11111111-1111-1111-1111-111111111101
 */
export type Uuid = string;
/**
 * A UUID in any spelling that PostgreSQL reads: 32 hexadecimal digits of either case. A dash
 * may follow any four of them, and braces may enclose them.
 * @example 11111111-1111-1111-1111-111111111101
 */
export type UuidInput = string;
/**
 * A decimal as text that keeps its scale. Old rows may hold NaN.
 * @example 540.0
 */
export type Decimal = string;
/**
 * A decimal: text, stored with its scale, a finite JSON number, stored as JavaScript writes it,
 * or null. Spaces around text don't count. Text with `0x`, `0o`, `0b` or underscores needs
 * PostgreSQL 16 or newer.
 * @example 12.50
 * @example 12.5
 */
export type DecimalInput = string | number | null;
/**
 * A time in UTC with milliseconds (RFC 3339).
 * @example 2026-01-18T07:01:02.123Z
 */
export type Timestamp = string;
/**
 * A time of RFC 3339, or a date with or without a time of day. Without an offset it is in the
 * server's time zone: UTC, unless `TIME_ZONE` or the database says another. In UTC its year is
 * one from 0001 to 9999: `9999-12-31T23:59:59-14:00` is refused. Other spellings that
 * PostgreSQL reads (`Jan 18 2026 10:00 CET`, the number 20260118) are accepted. Words for a
 * moment (`tomorrow`, `now`, `epoch`, `infinity`) are refused. The pattern has the years 0001
 * and 9999 without an offset or with `Z`; an offset is accepted where the year in UTC remains.
 * @example 2026-01-19T10:11:12.345Z
 * @example 2026-01-19 10:11:12
 * @example 2026-01-19
 */
export type TimestampInput = string;
/**
 * Any JSON value, nested at most 32 deep.
 * @example {
 *       "supplier": "Duna"
 *     }
 */
export type JsonValue = unknown;
/**
 * Any JSON value, nested at most 32 deep. Text is read as a JSON document (`"{\"a\":1}"` is
 * stored as `{"a": 1}`); text that is none is refused. A value with NUL, half a surrogate pair
 * or a number beyond a double (`1e400`) at any depth is refused too. The pattern has the flat
 * documents, without escapes; all others are accepted too.
 * @example {
 *       "supplier": "Duna"
 *     }
 */
export type JsonValueInput = unknown;
/**
 * Any JSON value without NUL, inside a `JsonValueInput`.
 * @example Duna
 */
export type StorableJson = unknown;
/**
 * Text, or null; a number, true or false is stored as its text.
 * @example Label is smeared
 */
export type TextInput = string | number | boolean | null;
/**
 * The code that people scan. 650 characters always fit into the unique index, 2,600 if all are
 * ASCII. A number, true or false is read as its text.
 * @example RAW-20260118-DUNA-0001
 */
export type LotCodeInput = string | number | boolean;
/**
 * The kind of a lot: RAW received · DEB deboned · BULK buffer · MIX mixed batch · SKW skewered ·
 * FRZ frozen · FG finished good.
 */
export type LotType = "RAW" | "DEB" | "BULK" | "MIX" | "SKW" | "FRZ" | "FG";
/** The verdict of a QC gate about a lot. */
export type QcVerdict = "PASS" | "HOLD" | "FAIL";
/** The role of an account, which decides what it may do. */
export type Role = "ADMIN" | "MANAGER" | "AUDITOR" | "OPERATOR" | "VIEWER";
/** The state of background work. `failed`: all attempts failed; request the work again. */
export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";
/**
 * The direction of a trace. upstream: towards what the lot was made of · downstream: towards
 * what was made of it · both: the lots of the two traces, each with the smaller depth, and the
 * links of each.
 */
export type TraceDirection = "upstream" | "downstream" | "both";
/** The status of a service that is up. */
export type HealthStatus = "ok";
/** The service is up. */
export type Health = {
    /** The status of a service that is up. */
    status: HealthStatus;
    /** The time of the response. */
    timestamp: Timestamp;
};
/** The credentials of an account. Further fields are ignored. */
export type Credentials = {
    /** The account's email. It must match exactly. */
    email: string;
    /**
     * The account's password: text of 1 to 72 bytes in UTF-8, composed (NFC) or as it is sent.
     * Required with `AUTH_MODE=required`, where anything else is 401. In `legacy` any value is
     * accepted and ignored.
     */
    password?: unknown;
} & {
    [key: string]: unknown;
};
/** An account. */
export type User = {
    /** The account's id. */
    id: Uuid;
    /** The account's email. */
    email: string;
    /** The person's name. */
    full_name: string | null;
    /** The account's role. */
    role: Role | null;
    /** When the account was created. */
    created_at: Timestamp | null;
    /** The login before. */
    last_login: Timestamp | null;
};
/** The account that logged in, and its token. */
export type Session = {
    /** The account. */
    user: User;
    /** A signed JWT (EdDSA), valid for 30 minutes. */
    token: string;
};
/**
 * A lot as stored.
 * @example {
 *       "id": "22222222-2222-2222-2222-222222222201",
 *       "lot_code": "MIX-BATCH-88",
 *       "lot_type": "MIX",
 *       "production_run_id": "6f1d2c54-8a0b-4e3f-9c61-2b7d5a90e418",
 *       "phase_id": "00000000-0000-4000-8000-000000930004",
 *       "operator_id": "00000000-0000-0000-0000-000000000002",
 *       "weight_kg": "540.00",
 *       "temperature_c": "1.6",
 *       "metadata": {
 *         "recipe": "DONER-BEEF",
 *         "minutes": 24
 *       },
 *       "created_at": "2026-01-18T06:35:00.000Z"
 *     }
 */
export type Lot = {
    /** The lot's id. */
    id: Uuid;
    /** The code that people scan, unique in the plant. */
    lot_code: string;
    /** The lot's kind. */
    lot_type: LotType | null;
    /** The production run that made it. */
    production_run_id: Uuid | null;
    /** The phase of production in which it was made. */
    phase_id: Uuid | null;
    /** The account of the operator who recorded it. */
    operator_id: Uuid | null;
    /** Its weight in kilograms. */
    weight_kg: Decimal | null;
    /** Its temperature in °C. */
    temperature_c: Decimal | null;
    /** What else was recorded. */
    metadata: JsonValue;
    /** When it was made. */
    created_at: Timestamp | null;
};
/** A lot to store. A field that is absent gets its default. */
export type LotInput = {
    /** The lot's id; absent, a new one. */
    id?: UuidInput;
    /** The code that people scan, unique in the plant. */
    lot_code: LotCodeInput;
    /** The lot's kind. */
    lot_type?: LotType | null;
    /** The production run that made it. */
    production_run_id?: UuidInput | null;
    /** The phase of production in which it was made. */
    phase_id?: UuidInput | null;
    /** The account of the operator who recorded it. */
    operator_id?: UuidInput | null;
    /** Its weight in kilograms. */
    weight_kg?: DecimalInput;
    /** Its temperature in °C. */
    temperature_c?: DecimalInput;
    /** What else is to be recorded; absent, an empty object. */
    metadata?: JsonValueInput;
    /** When it was made; absent, now. */
    created_at?: TimestampInput | null;
};
/** One lot with its parents and children, one hop. */
export type Trace = {
    /** The lot itself. */
    central: Lot;
    /** The lots that it was made of, one entry a link. */
    parents: Lot[];
    /** The lots made of it, one entry a link. */
    children: Lot[];
};
/** A decision to store, with at least one field. */
export type QcDecisionInput = {
    /** The decision's id; absent, a new one. */
    id?: UuidInput;
    /** The lot that it is about. */
    lot_id?: UuidInput | null;
    /** The QC gate that decided. */
    qc_gate_id?: UuidInput | null;
    /** The account of the operator who decided. */
    operator_id?: UuidInput | null;
    /** The verdict. */
    decision?: QcVerdict | null;
    /** Notes of the operator. */
    notes?: TextInput;
    /** The temperature that was measured, in °C. */
    temperature_c?: DecimalInput;
    /** The signature of the operator. */
    digital_signature?: TextInput;
    /** When it was decided; absent, now. */
    decided_at?: TimestampInput | null;
};
/** A decision of a QC gate about a lot, as stored. */
export type QcDecision = {
    /** The decision's id. */
    id: Uuid;
    /** The lot that it is about. */
    lot_id: Uuid | null;
    /** The QC gate that decided. */
    qc_gate_id: Uuid | null;
    /** The account of the operator who decided. */
    operator_id: Uuid | null;
    /** The verdict. */
    decision: QcVerdict | null;
    /** Notes of the operator. */
    notes: string | null;
    /** The temperature that was measured, in °C. */
    temperature_c: Decimal | null;
    /** The signature of the operator. */
    digital_signature: string | null;
    /** When it was decided. */
    decided_at: Timestamp | null;
};
/** The trace to take. */
export type DeepTraceInput = {
    /** The code of the traced lot. It must match exactly. */
    lot_code: LotCodeInput;
    /** The direction of the trace. */
    direction: TraceDirection;
    /** The most links from the traced lot. Null or absent, no limit. */
    max_depth?: number | null;
    /**
     * The most lots; absent: 100,000. Of a level that doesn't fit, the lots with the smallest
     * ids are kept, and only they are followed.
     */
    at_most?: number;
};
/** A trace through all levels, its progress and one page of its result. */
export type DeepTrace = {
    /** The trace's id. */
    id: Uuid;
    /** Whether the trace waits, runs or is done. */
    state: JobState;
    /** How far the trace is. */
    progress: DeepTraceProgress;
    /** The code of the traced lot. */
    lot_code: string;
    /** The direction of the trace. */
    direction: TraceDirection;
    /** The requested limit of the depth; null without one. */
    max_depth: number | null;
    /** The limit of the number of lots. */
    at_most: number;
    /** When the trace was requested. */
    created_at: Timestamp;
    /** The moment that the result shows; null until there is one. */
    as_of: Timestamp | null;
    /** A lot of the result, or a link at one, has changed since `as_of`. */
    out_of_date: boolean;
    /** One page of the result; null until the state is `done`. */
    result: DeepTraceResult | null;
};
/** The lots that a trace has found so far, and how deep it is. */
export type DeepTraceProgress = {
    /** The number of lots found so far. */
    lots: number;
    /** The depth reached so far. */
    depth: number;
};
/** One page of a trace's result. */
export type DeepTraceResult = {
    /** The lots of this page, by depth. */
    lots: DeepTraceLot[];
    /**
     * The links of this page: each link between two of the lots, so a pair that is linked
     * twice appears twice. Links with a missing side are counted in `half_links`.
     */
    links: DeepTraceLink[];
    /** The number of lots on all pages. */
    lot_count: number;
    /** The number of links on all pages. */
    link_count: number;
    /** The depth of the deepest lot. */
    depth_reached: number;
    /** There is more, deeper than `max_depth` or beyond `at_most`. */
    truncated: boolean;
    /**
     * Links of the lots, in the direction of the trace, whose other side is missing. This
     * is an error in the data: what lies beyond them is not in the result. All lots of the
     * result count, also those at a limit. Null in a result that was stored before this
     * was counted.
     */
    half_links: number | null;
    /** Totals by type of lot, in the order of production. */
    totals: DeepTraceTotal[];
    /**
     * Lots that are their own ancestors, an error in the data: the codes of each cycle, in
     * the direction of its links. Every lot that is on a cycle is on one of these.
     */
    cycles: string[][];
    /** There were more than 100 cycles, or more than 10,000 lots on them. */
    cycles_truncated: boolean;
    /** The `cursor` of the next page; null on the last one. */
    next_cursor: string | null;
};
/** A lot of a trace, with its number of links from the traced lot. */
export type DeepTraceLot = {
    /** The lot's id. */
    id: Uuid;
    /** The code that people scan. */
    lot_code: string;
    /** The lot's kind. */
    lot_type: LotType | null;
    /** The production run that made it. */
    production_run_id: Uuid | null;
    /** The phase of production in which it was made. */
    phase_id: Uuid | null;
    /** The account of the operator who recorded it. */
    operator_id: Uuid | null;
    /** Its weight in kilograms. */
    weight_kg: Decimal | null;
    /** Its temperature in °C. */
    temperature_c: Decimal | null;
    /** What else was recorded. */
    metadata: JsonValue;
    /** When it was made. */
    created_at: Timestamp | null;
    /** The smallest number of links from the traced lot. */
    depth: number;
};
/** A link between two lots of a trace. */
export type DeepTraceLink = {
    /** The lot that was used. */
    parent_lot_id: Uuid;
    /** The lot that was made of it. */
    child_lot_id: Uuid;
    /** The quantity used, in kilograms. */
    quantity_used_kg: Decimal | null;
};
/** The lots of one type in a trace, counted and weighed. */
export type DeepTraceTotal = {
    /** The type of the lots; null for lots without one. */
    lot_type: LotType | null;
    /** The number of lots. */
    lots: number;
    /** Their weight in kilograms; null when none of them has one. */
    weight_kg: Decimal | null;
};
/** The audit to start. It has no options yet. */
export type AuditInput = Record<string, never>;
/**
 * What is wrong with a lot, a link or a decision.
 * **cycle** (critical): lots that are their own ancestors, by way of at least one other lot. Where
 * cycles share lots, enough of them are found that each lot is on one.
 * **self_link** (critical): a link from a lot to itself.
 * **used_after_fail** (critical), **used_after_hold** (major): a link that was made after a gate
 * had said FAIL or HOLD of its parent and before that gate said PASS again. Each gate's latest
 * decision counts; decisions without a time or a verdict don't.
 * **fg_without_pass** (major): an FG lot that no gate has passed, or for which the latest
 * decision of a gate is HOLD or FAIL.
 * **half_link** (major): a link without parent or without child.
 * **overdrawn** (major): more was taken from a lot, all links summed, than it weighed.
 * **gained_weight** (major): a lot weighs more than what went into it, by more than the tolerance.
 * **made_of_nothing** (major): a lot that isn't RAW and has no parents.
 * **orphan** (minor): a lot that isn't RAW and that no link names.
 * **missing_weight**, **missing_quantity** (minor): a lot without weight, a link without quantity.
 * **negative_weight**, **negative_quantity** (major): less than nothing.
 * **weight_not_a_number**, **quantity_not_a_number** (major): NaN or infinite.
 * **temperature_out_of_range** (major): outside the limits for the lot's type, or no number.
 */
export type AuditFindingKind = "cycle" | "self_link" | "half_link" | "overdrawn" | "gained_weight" | "made_of_nothing" | "orphan" | "missing_weight" | "negative_weight" | "weight_not_a_number" | "missing_quantity" | "negative_quantity" | "quantity_not_a_number" | "temperature_out_of_range" | "used_after_fail" | "used_after_hold" | "fg_without_pass";
/** How serious a finding is. */
export type AuditFindingSeverity = "critical" | "major" | "minor";
/**
 * How a finding compares with the last audit that was done: **new**, **still_there**, or
 * **gone** (found then and not now; it appears once, with its last numbers). **unknown**: the
 * last audit had found more of the kind than it kept.
 */
export type AuditFindingStanding = "new" | "still_there" | "gone" | "unknown";
/** A position between findings. */
export type AuditFindingCursor = string;
/** An audit of the genealogy, without its findings. */
export type Audit = {
    /** The audit's id. */
    id: Uuid;
    /** Whether the audit waits, runs or is done. */
    state: JobState;
    /** How far the audit is; null unless it runs. */
    progress: AuditProgress | null;
    /** When the audit was requested. */
    created_at: Timestamp;
    /** The moment whose lots, links and decisions it has read. */
    as_of: Timestamp | null;
    /** When it ended; null before. */
    finished_at: Timestamp | null;
    /** The audit before, with which its findings were compared. */
    compared_with: Uuid | null;
    /** What it has found, in numbers; null until it is done. */
    summary: AuditSummary | null;
};
/** An audit of the genealogy, with one page of its findings. */
export type AuditWithFindings = {
    /** The audit's id. */
    id: Uuid;
    /** Whether the audit waits, runs or is done. */
    state: JobState;
    /** How far the audit is; null unless it runs. */
    progress: AuditProgress | null;
    /** When the audit was requested. */
    created_at: Timestamp;
    /** The moment whose lots, links and decisions it has read. */
    as_of: Timestamp | null;
    /** When it ended; null before. */
    finished_at: Timestamp | null;
    /** The audit before, with which its findings were compared. */
    compared_with: Uuid | null;
    /** What it has found, in numbers; null until it is done. */
    summary: AuditSummary | null;
    /** The findings of this page. */
    findings: AuditFinding[];
    /** The `cursor` of the next page; null on the last one. */
    next_cursor: AuditFindingCursor | null;
};
/** One page of audits. */
export type AuditPage = {
    /** The audits of this page, the newest first. */
    audits: Audit[];
    /** The `cursor` of the next page; null on the last one. */
    next_cursor: Uuid | null;
};
/** How far a running audit is. */
export type AuditProgress = {
    /** The number of kinds that are finished. */
    checked: number;
    /** The number of all kinds. */
    of: number;
    /** The number of lots read. */
    lots: number;
    /** The number of links read. */
    links: number;
};
/** What an audit has found, in numbers. */
export type AuditSummary = {
    /** The number of lots. */
    lots: number;
    /** The number of links. */
    links: number;
    /** The percentage by which a lot may weigh more than its inputs. */
    tolerance_percent: string;
    /** The limits of a lot's temperature. */
    temperatures: AuditTemperatures;
    /** The number of findings, one entry a kind. */
    findings: AuditFindingCount[];
};
/** The limits of a lot's temperature by its type, °C. */
export type AuditTemperatures = {
    [key: string]: TemperatureRange;
};
/** The limits of a temperature, °C. */
export type TemperatureRange = {
    /** The lowest temperature. */
    least: string;
    /** The highest temperature. */
    most: string;
};
/** The number of findings of one kind. */
export type AuditFindingCount = {
    /** The kind. */
    kind: AuditFindingKind;
    /** How serious findings of the kind are. */
    severity: AuditFindingSeverity;
    /** All that were found: new, still there and unknown. */
    found: number;
    /** Those that the audit before hadn't found. */
    new: number;
    /** Those that the audit before had found too. */
    still_there: number;
    /** Those that can't be compared with the audit before. */
    unknown: number;
    /** Those of the audit before that weren't found any more. */
    gone: number;
    /**
     * How many of the found are kept: at most 10,000 of a kind (1,000 cycles), those with the
     * smallest keys, so that two audits keep the same ones.
     */
    kept: number;
    /** False: there are more than were found, which is possible for cycles alone. */
    complete: boolean;
};
/** One thing that is wrong in the genealogy. */
export type AuditFinding = {
    /** What is wrong. */
    kind: AuditFindingKind;
    /** How serious it is. */
    severity: AuditFindingSeverity;
    /** How it compares with the audit before. */
    standing: AuditFindingStanding;
    /**
     * The lots concerned: a link's parent before its child, a cycle's in their order (the first
     * 50).
     */
    lots: AuditedLot[];
    /** Its values, which depend on the kind. */
    numbers: AuditFindingNumbers;
};
/**
 * The values of a finding by name: kilograms and °C as text (digits of 40 characters and more in
 * scientific notation), moments, counts.
 */
export type AuditFindingNumbers = {
    [key: string]: AuditFindingNumber;
};
/** A value of a finding: a decimal or a moment as text, a count, or null. */
export type AuditFindingNumber = string | number | null;
/** A lot that a finding is about. */
export type AuditedLot = {
    /** The lot's id. */
    id: Uuid;
    /** The lot's code when it was found. */
    lot_code: string;
};
/** The public keys of the tokens, as a JSON Web Key Set (RFC 7517). */
export type SigningKeySet = {
    /** The keys; a token names its own by `kid`. */
    keys: SigningKey[];
};
/** A public key as a JSON Web Key (RFC 8037). */
export type SigningKey = {
    /** The type of a key. */
    kty: SigningKeyType;
    /** The curve of a key. */
    crv: SigningKeyCurve;
    /** The algorithm of a key. */
    alg: SigningKeyAlgorithm;
    /** The use of a key. */
    use: SigningKeyUse;
    /** The key's id. */
    kid: string;
    /** The key itself, in base64url. */
    x: string;
};
/** The type of a key. */
export type SigningKeyType = "OKP";
/** The curve of a key. */
export type SigningKeyCurve = "Ed25519";
/** The algorithm of a key. */
export type SigningKeyAlgorithm = "EdDSA";
/** The use of a key. */
export type SigningKeyUse = "sig";
/** The status of a process that is alive. */
export type LivenessStatus = "live";
/** The process is alive. */
export type Liveness = {
    /** The status of a process that is alive. */
    status: LivenessStatus;
};
/** The status of a process that can do its work. */
export type ReadinessStatus = "ready";
/** The state of Valkey; `off` when the service has none. */
export type ValkeyState = "up" | "away" | "off";
/** Whether deep traces are read on the replica; absent when the service has none. */
export type ReplicaState = "up" | "not_read";
/** The process can do its work. */
export type Readiness = {
    /** The status of a process that can do its work. */
    status: ReadinessStatus;
    /** The state of Valkey; `off` when the service has none. */
    valkey: ValkeyState;
    /** Why Valkey can't be used: unreachable, silent, or Valkey's word for the state in which it refuses commands, such as readonly (it is a replica), loading, oom or noauth. */
    valkey_problem?: string;
    /** Whether deep traces are read on the replica; absent when the service has none. */
    replica?: ReplicaState;
    /** Why the replica is not read, such as unreachable, behind, not_standby, other_server or read_failed. */
    replica_problem?: string;
};
