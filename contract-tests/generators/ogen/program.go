package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	. "example.com/lots/lotline"
	"github.com/google/uuid"
)

// ogen writes a free JSON field that isn't set as a name without a value.
var null = []byte("null")

// The token of the login; the client takes it from here for each request.
type session struct{ token string }

func (s *session) BearerAuth(context.Context, OperationName) (BearerAuth, error) {
	return BearerAuth{Token: s.token}, nil
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	ctx := context.Background()
	lotCode := os.Getenv("LOT_CODE")
	codeAsJSON := must(json.Marshal(lotCode))
	current := &session{}
	client := must(NewClient(os.Getenv("BASE_URL"), current))

	login := must(client.Login(ctx, &Credentials{
		Email: "admin@flowviz.com", Password: []byte(`"correct horse battery staple"`),
	})).(*SessionHeaders).Response
	fmt.Println("login:", login.User.Email, login.User.Role.Value)
	current.token = login.Token

	lot := must(client.CreateLot(ctx, &LotInput{
		LotCode:      codeAsJSON,
		LotType:      NewOptNilLotType(LotTypeRAW),
		WeightKg:     DecimalInput(`"12.50"`),
		TemperatureC: null,
		Metadata:     JsonValueInput(`{"supplier":"Duna","pallets":["P-7","P-8"]}`),
	}, CreateLotParams{})).(*LotHeaders).Response
	var metadata struct {
		Supplier string
		Pallets  []string
	}
	if err := json.Unmarshal(lot.Metadata, &metadata); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("lot: %s %s %s kg, %s, pallets %s %s\n", lot.LotCode, lot.LotType.Value,
		lot.WeightKg.Value, metadata.Supplier, metadata.Pallets[0], metadata.Pallets[1])

	decision := must(client.CreateQcDecision(ctx, &QcDecisionInput{
		LotID:            NewOptNilUuidInput(UuidInput(uuid.UUID(lot.ID).String())),
		Decision:         NewOptNilQcVerdict(QcVerdictPASS),
		Notes:            null,
		TemperatureC:     null,
		DigitalSignature: null,
	}, CreateQcDecisionParams{})).(*QcDecisionHeaders).Response
	fmt.Println("decision:", decision.Decision.Value)

	trace := must(client.GetTraceability(ctx, GetTraceabilityParams{LotCode: lotCode})).(*TraceHeaders).Response
	fmt.Printf("trace: %s %s kg, %d parents, %d children\n",
		trace.Central.LotCode, trace.Central.WeightKg.Value, len(trace.Parents), len(trace.Children))

	missing := must(client.GetTraceability(ctx, GetTraceabilityParams{LotCode: lotCode + "-UNKNOWN"}))
	fmt.Println("404:", missing.(*NotFoundHeaders).Response.Error)

	refused := must(client.CreateLot(ctx, &LotInput{
		LotCode: codeAsJSON, WeightKg: null, TemperatureC: null, Metadata: JsonValueInput(`"{"`),
	}, CreateLotParams{}))
	for _, detail := range refused.(*OutsideContractHeaders).Response.Details {
		fmt.Println("422:", detail.Path, detail.Message)
	}
}
