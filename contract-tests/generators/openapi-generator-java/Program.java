import java.util.List;
import java.util.Map;
import org.openapitools.client.ApiClient;
import org.openapitools.client.ApiException;
import org.openapitools.client.api.AuthApi;
import org.openapitools.client.api.LotsApi;
import org.openapitools.client.api.QualityApi;
import org.openapitools.client.api.TraceabilityApi;
import org.openapitools.client.model.Credentials;
import org.openapitools.client.model.ErrorResponse;
import org.openapitools.client.model.LotInput;
import org.openapitools.client.model.LotType;
import org.openapitools.client.model.QcDecisionInput;
import org.openapitools.client.model.QcVerdict;

class Program {
  public static void main(String[] args) throws Exception {
    var lotCode = System.getenv("LOT_CODE");
    var client = new ApiClient().setBasePath(System.getenv("BASE_URL"));
    var lots = new LotsApi(client);
    var traceability = new TraceabilityApi(client);

    var session = new AuthApi(client).login(
        new Credentials().email("admin@flowviz.com").password("correct horse battery staple"));
    System.out.printf("login: %s %s%n", session.getUser().getEmail(), session.getUser().getRole());
    client.setBearerToken(session.getToken());

    var metadata = Map.of("supplier", "Duna", "pallets", List.of("P-7", "P-8"));
    var lot = lots.createLot(new LotInput()
        .lotCode(lotCode).lotType(LotType.RAW).weightKg("12.50").metadata(metadata), null);
    var stored = (Map<?, ?>) lot.getMetadata();
    System.out.printf("lot: %s %s %s kg, %s, pallets %s%n", lot.getLotCode(), lot.getLotType(),
        lot.getWeightKg(), stored.get("supplier"), pallets(stored));

    var decision = new QualityApi(client).createQcDecision(
        new QcDecisionInput().lotId(lot.getId().toString()).decision(QcVerdict.PASS), null);
    System.out.printf("decision: %s%n", decision.getDecision());

    var trace = traceability.getTraceability(lotCode);
    System.out.printf("trace: %s %s kg, %d parents, %d children%n", trace.getCentral().getLotCode(),
        trace.getCentral().getWeightKg(), trace.getParents().size(), trace.getChildren().size());

    try {
      traceability.getTraceability(lotCode + "-UNKNOWN");
    } catch (ApiException e) {
      System.out.printf("%d: %s%n", e.getCode(), error(e).getError());
    }
    try {
      lots.createLot(new LotInput().lotCode(lotCode).metadata("{"), null);
    } catch (ApiException e) {
      var detail = error(e).getDetails().get(0);
      System.out.printf("%d: %s %s%n", e.getCode(), detail.getPath(), detail.getMessage());
    }
  }

  private static String pallets(Map<?, ?> metadata) {
    var codes = ((List<?>) metadata.get("pallets")).stream().map(String::valueOf).toList();
    return String.join(" ", codes);
  }

  private static ErrorResponse error(ApiException e) throws Exception {
    return ErrorResponse.fromJson(e.getResponseBody());
  }
}
