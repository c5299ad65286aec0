use lotline::{Client, ResponseValue, types};
use progenitor_client::Error;
use reqwest::header::{AUTHORIZATION, HeaderMap};
use serde_json::json;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let base_url = std::env::var("BASE_URL")?;
    let lot_code = std::env::var("LOT_CODE")?;

    let credentials = types::Credentials {
        email: "admin@flowviz.com".parse()?,
        password: Some(json!("correct horse battery staple")),
        extra: Default::default(),
    };
    let session = Client::new(&base_url)
        .login(&credentials)
        .await?
        .into_inner();
    println!(
        "login: {} {}",
        session.user.email,
        session.user.role.ok_or("no role")?
    );

    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {}", *session.token).parse()?);
    let http = reqwest::Client::builder()
        .default_headers(headers)
        .build()?;
    let client = Client::new_with_client(&base_url, http);

    let metadata = json!({"supplier": "Duna", "pallets": ["P-7", "P-8"]});
    let mut input = lot_input(&lot_code, metadata);
    input.lot_type = Some(types::LotType::Raw);
    input.weight_kg = Some(json!("12.50").into());
    let lot = client.create_lot(None, &input).await?.into_inner();
    println!(
        "lot: {} {} {} kg, {}, pallets {} {}",
        lot.lot_code,
        lot.lot_type.ok_or("no type")?,
        *lot.weight_kg.ok_or("no weight")?,
        lot.metadata["supplier"].as_str().ok_or("no supplier")?,
        lot.metadata["pallets"][0].as_str().ok_or("no pallet")?,
        lot.metadata["pallets"][1].as_str().ok_or("no pallet")?,
    );

    let decision = types::QcDecisionInput {
        lot_id: Some(lot.id.to_string().parse()?),
        decision: Some(types::QcVerdict::Pass),
        ..empty_decision()
    };
    let decision = client.create_qc_decision(None, &decision).await?;
    println!("decision: {}", decision.decision.ok_or("no verdict")?);

    let trace = client.get_traceability(&lot_code.parse()?).await?;
    println!(
        "trace: {} {} kg, {} parents, {} children",
        trace.central.lot_code,
        **trace.central.weight_kg.as_ref().ok_or("no weight")?,
        trace.parents.len(),
        trace.children.len(),
    );

    let unknown = format!("{lot_code}-UNKNOWN").parse()?;
    let missing = error_of(client.get_traceability(&unknown).await)?;
    println!("{}: {}", missing.status().as_u16(), *missing.error);

    let broken = lot_input(&lot_code, json!("{"));
    let refused = error_of(client.create_lot(None, &broken).await)?;
    for detail in &refused.details {
        println!(
            "{}: {} {}",
            refused.status().as_u16(),
            detail.path,
            detail.message
        );
    }
    Ok(())
}

fn lot_input(lot_code: &str, metadata: serde_json::Value) -> types::LotInput {
    types::LotInput {
        lot_code: json!(lot_code).into(),
        metadata: Some(metadata.into()),
        created_at: None,
        id: None,
        lot_type: None,
        operator_id: None,
        phase_id: None,
        production_run_id: None,
        temperature_c: None,
        weight_kg: None,
    }
}

fn empty_decision() -> types::QcDecisionInput {
    serde_json::from_value(json!({})).expect("every field is optional")
}

/// The typed body of a response that is no success.
fn error_of<T>(
    result: Result<ResponseValue<T>, Error<types::ErrorResponse>>,
) -> Outcome<ResponseValue<types::ErrorResponse>> {
    match result {
        Ok(_) => Err("it was accepted".into()),
        Err(Error::ErrorResponse(response)) => Ok(response),
        Err(other) => Err(other.into()),
    }
}
