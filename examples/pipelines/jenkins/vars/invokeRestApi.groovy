// Step of a shared library: runs one task through the Invoke REST API and passes or fails as it
// does. Returns the task's outputs.
//
//   script {
//     def outputs = invokeRestApi(step: 'deploy.yaml', url: 'https://NAME.azurewebsites.net',
//                                 credentialsId: 'invoke-key')
//     echo outputs.id
//   }
//
// Within a matrix, and in parallel branches, it takes a name too, such as the cell's axes:
// name: "${PLATFORM}-${REGION}". Jenkins tells nothing else that differs from cell to cell, and
// without it the second cell would pass on the first one's result.
//
// Where a sign-in stands before the service, tokenCredentialsId names the secret text with a token
// for it; or the step runs where INVOKE_TOKEN is set and masked.
//
// invoke.sh belongs into the library's folder resources. docs/pipelines.md has the rest.
import groovy.json.JsonSlurperClassic

Map call(Map options) {
  writeFile file: '.invoke/invoke.sh', text: libraryResource('invoke.sh')
  def secrets = [string(credentialsId: options.credentialsId, variable: 'INVOKE_KEY')]
  if (options.tokenCredentialsId) {
    secrets << string(credentialsId: options.tokenCredentialsId, variable: 'INVOKE_TOKEN')
  }
  withCredentials(secrets) {
    withEnv([
      "INVOKE_URL=${options.url}",
      "INVOKE_STEP=${options.step}",
      "INVOKE_NAME=${options.name ?: ''}",
      "INVOKE_TIMEOUT=${options.timeoutInSeconds ?: 3600}",
      'INVOKE_OUTPUTS=json',
      'INVOKE_OUTPUTS_FILE=.invoke/outputs.json',
    ]) {
      sh label: 'Invoke REST API', script: '''
        rm -f "$INVOKE_OUTPUTS_FILE"
        sh .invoke/invoke.sh
      '''
    }
  }
  return parsed(readFile('.invoke/outputs.json'))
}

@NonCPS
private Map parsed(String text) {
  return new JsonSlurperClassic().parseText(text) as Map
}
