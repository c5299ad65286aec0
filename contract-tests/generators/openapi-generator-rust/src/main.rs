use openapi::apis::{auth_api, configuration::Configuration, lots_api, quality_api, traceability_api};
use openapi::apis::Error::ResponseError;
use openapi::models::{Credentials, ErrorResponse, LotInput, LotType, QcDecisionInput, QcVerdict};
use serde_json::json;
use std::{env, error::Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let lot_code = env::var("LOT_CODE")?;
    let mut client = Configuration { base_path: env::var("BASE_URL")?, ..Default::default() };

    let credentials = Credentials {
        email: "admin@flowviz.com".into(),
        password: Some(Some(json!("correct horse battery staple"))),
    };
    let session = auth_api::login(&client, credentials).await?;
    println!("login: {} {}", session.user.email, session.user.role.unwrap());
    client.bearer_access_token = Some(session.token);

    let lot = LotInput {
        lot_type: Some(Some(LotType::Raw)),
        weight_kg: Some(Some(json!("12.50"))),
        metadata: Some(Some(json!({ "supplier": "Duna", "pallets": ["P-7", "P-8"] }))),
        ..LotInput::new(Some(json!(lot_code)))
    };
    let lot = lots_api::create_lot(&client, lot, None).await?;
    let metadata = lot.metadata.unwrap();
    println!(
        "lot: {} {} {} kg, {}, pallets {} {}",
        lot.lot_code, lot.lot_type.unwrap(), lot.weight_kg.unwrap(),
        metadata["supplier"].as_str().unwrap(),
        metadata["pallets"][0].as_str().unwrap(), metadata["pallets"][1].as_str().unwrap(),
    );

    let decision = QcDecisionInput {
        lot_id: Some(Some(lot.id.to_string())),
        decision: Some(Some(QcVerdict::Pass)),
        ..Default::default()
    };
    let decision = quality_api::create_qc_decision(&client, decision, None).await?;
    println!("decision: {}", decision.decision.unwrap());

    let trace = traceability_api::get_traceability(&client, &lot_code).await?;
    println!(
        "trace: {} {} kg, {} parents, {} children",
        trace.central.lot_code, trace.central.weight_kg.unwrap(),
        trace.parents.len(), trace.children.len(),
    );

    let unknown = format!("{lot_code}-UNKNOWN");
    if let Err(ResponseError(e)) = traceability_api::get_traceability(&client, &unknown).await {
        let body: ErrorResponse = serde_json::from_str(&e.content)?;
        println!("{}: {}", e.status.as_u16(), body.error);
    }

    let refused = LotInput {
        metadata: Some(Some(json!("{"))),
        ..LotInput::new(Some(json!(lot_code)))
    };
    if let Err(ResponseError(e)) = lots_api::create_lot(&client, refused, None).await {
        let body: ErrorResponse = serde_json::from_str(&e.content)?;
        for detail in body.details.unwrap_or_default() {
            println!("{}: {} {}", e.status.as_u16(), detail.path, detail.message);
        }
    }
    Ok(())
}
