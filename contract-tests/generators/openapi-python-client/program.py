import os

from lotline_client import AuthenticatedClient, Client
from lotline_client.api.auth import login
from lotline_client.api.lots import create_lot
from lotline_client.api.quality import create_qc_decision
from lotline_client.api.traceability import get_traceability
from lotline_client.models import (
    Credentials,
    ErrorResponse,
    Lot,
    LotInput,
    LotType,
    QcDecision,
    QcDecisionInput,
    QcVerdict,
    Session,
    Trace,
)

base_url, lot_code = os.environ["BASE_URL"], os.environ["LOT_CODE"]

session = login.sync(
    client=Client(base_url),
    body=Credentials(email="admin@flowviz.com", password="correct horse battery staple"),
)
assert isinstance(session, Session)
print(f"login: {session.user.email} {session.user.role}")
client = AuthenticatedClient(base_url, session.token)

lot = create_lot.sync(
    client=client,
    body=LotInput(
        lot_code=lot_code,
        lot_type=LotType.RAW,
        weight_kg="12.50",
        metadata={"supplier": "Duna", "pallets": ["P-7", "P-8"]},
    ),
)
assert isinstance(lot, Lot)
metadata = lot.metadata
print(
    f"lot: {lot.lot_code} {lot.lot_type} {lot.weight_kg} kg, "
    f"{metadata['supplier']}, pallets {' '.join(metadata['pallets'])}"
)

decided = create_qc_decision.sync(
    client=client, body=QcDecisionInput(lot_id=str(lot.id), decision=QcVerdict.PASS)
)
assert isinstance(decided, QcDecision)
print(f"decision: {decided.decision}")

trace = get_traceability.sync(lot_code, client=client)
assert isinstance(trace, Trace)
print(
    f"trace: {trace.central.lot_code} {trace.central.weight_kg} kg, "
    f"{len(trace.parents)} parents, {len(trace.children)} children"
)

missing = get_traceability.sync_detailed(f"{lot_code}-UNKNOWN", client=client)
assert isinstance(missing.parsed, ErrorResponse)
print(f"{missing.status_code}: {missing.parsed.error}")

refused = create_lot.sync_detailed(client=client, body=LotInput(lot_code=lot_code, metadata="{"))
assert isinstance(refused.parsed, ErrorResponse)
for detail in refused.parsed.details or []:
    print(f"{refused.status_code}: {detail.path} {detail.message}")
