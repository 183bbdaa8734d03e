metadata description = 'Sign-in with Entra ID before a request reaches the app; function keys stay a second layer.'

param clientId string
param excludedPaths array
param functionAppName string
param tenantId string

resource app 'Microsoft.Web/sites@2024-11-01' existing = {
  name: functionAppName
}

resource signIn 'Microsoft.Web/sites/config@2024-11-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      // Callers are programs: a login page is of no use to them.
      unauthenticatedClientAction: 'Return401'
      excludedPaths: excludedPaths
    }
    httpSettings: { requireHttps: true }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: clientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenantId}/v2.0'
        }
        validation: {
          allowedAudiences: [clientId, 'api://${clientId}']
        }
      }
    }
    login: {
      tokenStore: { enabled: false }
    }
  }
}
