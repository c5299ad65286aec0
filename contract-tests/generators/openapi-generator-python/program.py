import os

from openapi_client import (
    ApiClient,
    ApiException,
    AuthApi,
    Configuration,
    Credentials,
    ErrorResponse,
    LotInput,
    LotsApi,
    LotType,
    QcDecisionInput,
    QcVerdict,
    QualityApi,
    TraceabilityApi,
)

lot_code = os.environ["LOT_CODE"]
client = ApiClient(Configuration(host=os.environ["BASE_URL"]))
lots, traceability = LotsApi(client), TraceabilityApi(client)


def error_of(exception: ApiException) -> ErrorResponse:
    assert isinstance(exception.data, ErrorResponse)
    return exception.data


session = AuthApi(client).login(
    Credentials(email="admin@flowviz.com", password="correct horse battery staple")
)
assert session.user.role
print(f"login: {session.user.email} {session.user.role.value}")
client.configuration.access_token = session.token

lot = lots.create_lot(
    LotInput(
        lot_code=lot_code,
        lot_type=LotType.RAW,
        weight_kg="12.50",
        metadata={"supplier": "Duna", "pallets": ["P-7", "P-8"]},
    )
)
metadata = lot.metadata
assert lot.lot_type and isinstance(metadata, dict)
print(
    f"lot: {lot.lot_code} {lot.lot_type.value} {lot.weight_kg} kg, "
    f"{metadata['supplier']}, pallets {' '.join(metadata['pallets'])}"
)

decided = QualityApi(client).create_qc_decision(
    QcDecisionInput(lot_id=str(lot.id), decision=QcVerdict.PASS)
)
assert decided.decision
print(f"decision: {decided.decision.value}")

trace = traceability.get_traceability(lot_code)
print(
    f"trace: {trace.central.lot_code} {trace.central.weight_kg} kg, "
    f"{len(trace.parents)} parents, {len(trace.children)} children"
)

try:
    traceability.get_traceability(f"{lot_code}-UNKNOWN")
except ApiException as exception:
    print(f"{exception.status}: {error_of(exception).error}")

try:
    lots.create_lot(LotInput(lot_code=lot_code, metadata="{"))
except ApiException as exception:
    for detail in error_of(exception).details or []:
        print(f"{exception.status}: {detail.path} {detail.message}")
