metadata description = 'The function app on Flex Consumption, with all of its settings.'

param alwaysReadyHttp int
param appSettings object
param applicationInsightsName string
param httpPerInstanceConcurrency int
param identityClientId string
param identityId string
param instanceMemoryMB int
param keepPreviousStateKey bool
param location string
param maximumInstanceCount int
param name string
param packageContainerName string
param planName string
param publicBaseUrl string
param pythonVersion string
param secretSettings object
param serviceConnections string
param storageAccountName string

@description('Subnet that requests leave through; empty: none.')
param subnetId string
param tags object
param vaultUri string
param zoneRedundant bool

resource storageAccount 'Microsoft.Storage/storageAccounts@2025-01-01' existing = {
  name: storageAccountName
}

resource applicationInsights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

// The defaults of the service itself, so that they can be seen and changed in the portal.
var ownSettings = union(
  {
    API_RESPONSE_TIMEOUT_SECONDS: '20'
    MAX_BUFFERED_BYTES: '268435456'
    MAX_CONCURRENT_INVOCATIONS: '256'
    MAX_RESPONSE_BYTES: '10485760'
    PYTHON_THREADPOOL_THREAD_COUNT: '320'
    RETENTION_DAYS: '30'
  },
  appSettings
)

// An instance that refuses with 429 looks idle to the platform, which then starts no other.
var httpConcurrency = max(1, min(httpPerInstanceConcurrency, int(ownSettings.MAX_CONCURRENT_INVOCATIONS) - 1))

var storageSettings = {
  AzureWebJobsStorage__blobServiceUri: storageAccount.properties.primaryEndpoints.blob
  AzureWebJobsStorage__clientId: identityClientId
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__queueServiceUri: storageAccount.properties.primaryEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: storageAccount.properties.primaryEndpoints.table
  InvokeStorage__clientId: identityClientId
  InvokeStorage__credential: 'managedidentity'
  InvokeStorage__queueServiceUri: storageAccount.properties.primaryEndpoints.queue
  InvokeStorage__tableServiceUri: storageAccount.properties.primaryEndpoints.table
}

var platformSettings = {
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  APPLICATIONINSIGHTS_CONNECTION_STRING: applicationInsights.properties.ConnectionString
  AZURE_CLIENT_ID: identityClientId
}

var requestSettings = {
  SERVICE_CONNECTIONS: serviceConnections
  STATE_KEY: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/STATE-KEY)'
}

// A reference to a secret that is not there would stop the service.
var previousKeySettings = keepPreviousStateKey
  ? { STATE_KEY_PREVIOUS: '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/STATE-KEY-PREVIOUS)' }
  : {}

var addressSettings = empty(publicBaseUrl) ? {} : { PUBLIC_BASE_URL: publicBaseUrl }

var secretReferences = toObject(
  items(secretSettings),
  entry => entry.key,
  entry => '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/${entry.value})'
)

resource plan 'Microsoft.Web/serverfarms@2024-11-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'api' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    keyVaultReferenceIdentity: identityId
    publicNetworkAccess: 'Enabled'
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    // Without CORS: the platform would answer OPTIONS itself, which external services ask for.
    siteConfig: { minTlsVersion: '1.2' }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storageAccount.properties.primaryEndpoints.blob}${packageContainerName}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: {
        alwaysReady: alwaysReadyHttp > 0 ? [{ name: 'http', instanceCount: alwaysReadyHttp }] : []
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        triggers: {
          http: { perInstanceConcurrency: httpConcurrency }
        }
      }
    }
  }

  // This replaces the whole set, so there is no other place for settings.
  resource settings 'config' = {
    name: 'appsettings'
    properties: union(
      ownSettings,
      requestSettings,
      previousKeySettings,
      addressSettings,
      secretReferences,
      storageSettings,
      platformSettings
    )
  }

  resource publishing 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }

  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }
}

output name string = app.name
output uri string = 'https://${app.properties.defaultHostName}'
