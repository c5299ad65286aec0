import org.openapitools.client.apis.AuthApi
import org.openapitools.client.apis.LotsApi
import org.openapitools.client.apis.QualityApi
import org.openapitools.client.apis.TraceabilityApi
import org.openapitools.client.infrastructure.ApiClient
import org.openapitools.client.infrastructure.ClientError
import org.openapitools.client.infrastructure.ClientException
import org.openapitools.client.infrastructure.Serializer
import org.openapitools.client.models.Credentials
import org.openapitools.client.models.ErrorResponse
import org.openapitools.client.models.LotInput
import org.openapitools.client.models.LotType
import org.openapitools.client.models.QcDecisionInput
import org.openapitools.client.models.QcVerdict

fun main() {
  val baseUrl = System.getenv("BASE_URL")
  val lotCode = System.getenv("LOT_CODE")
  val lots = LotsApi(baseUrl)
  val traceability = TraceabilityApi(baseUrl)

  val session = AuthApi(baseUrl).login(Credentials("admin@flowviz.com", "correct horse battery staple"))
  println("login: ${session.user.email} ${session.user.role}")
  ApiClient.accessToken = session.token

  val metadata = mapOf("supplier" to "Duna", "pallets" to listOf("P-7", "P-8"))
  val lot = lots.createLot(
    LotInput(lotCode, lotType = LotType.RAW, weightKg = "12.50", metadata = metadata)
  )
  val stored = lot.metadata as Map<*, *>
  val pallets = (stored["pallets"] as List<*>).joinToString(" ")
  println("lot: ${lot.lotCode} ${lot.lotType} ${lot.weightKg} kg, ${stored["supplier"]}, pallets $pallets")

  val decision = QualityApi(baseUrl)
    .createQcDecision(QcDecisionInput(lotId = lot.id.toString(), decision = QcVerdict.PASS))
  println("decision: ${decision.decision}")

  val (central, parents, children) = traceability.getTraceability(lotCode)
  println("trace: ${central.lotCode} ${central.weightKg} kg, ${parents.size} parents, ${children.size} children")

  try {
    traceability.getTraceability("$lotCode-UNKNOWN")
  } catch (e: ClientException) {
    println("${e.statusCode}: ${error(e).error}")
  }
  try {
    lots.createLot(LotInput(lotCode, metadata = "{"))
  } catch (e: ClientException) {
    for (detail in error(e).details.orEmpty()) {
      println("${e.statusCode}: ${detail.path} ${detail.message}")
    }
  }
}

private fun error(e: ClientException): ErrorResponse {
  val body = (e.response as ClientError<*>).body as String
  return Serializer.moshi.adapter(ErrorResponse::class.java).fromJson(body)!!
}
