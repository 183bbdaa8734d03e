metadata description = 'Invoke REST API: all that the service needs, in a resource group that exists.'

import { principalTypes, resourceNames } from 'types.bicep'

@minLength(1)
@maxLength(64)
@description('Name of the environment, for its tag.')
param environmentName string = resourceGroup().name

@minLength(1)
@description('Region of all resources, one that offers Flex Consumption.')
param location string = resourceGroup().location

@minLength(13)
@description('What makes derived names unique.')
param resourceToken string = uniqueString(resourceGroup().id)

@description('Names of resources that are not to be derived.')
param names resourceNames = {}

@description('Tags of every resource.')
param tags object = {}

@description('Object id of whoever deploys, for the right to write secrets; empty: nobody is given it.')
param principalId string = ''

@description('What principalId is the id of.')
param principalType principalTypes = 'User'

@description('The service connections, as JSON; infra/connections.json is the place for them.')
param serviceConnections string = loadTextContent('connections.json')

@description('Settings that connections refer to and whose values are secrets: name of the setting, name of the secret in the vault.')
param secretSettings object = {}

@description('Further settings, and those of the service that are to differ from their defaults: names with texts. No secrets.')
param appSettings object = {}

@description('Where the service is reached, if not by the host name of the app.')
param publicBaseUrl string = ''

@description('Whether the vault also holds the state key before, while one is rotated.')
param keepPreviousStateKey bool = false

@description('Version of Python.')
param pythonVersion string = '3.13'

@allowed([512, 2048, 4096])
@description('Memory of one instance, in MB.')
param instanceMemoryMB int = 2048

@minValue(1)
@maxValue(1000)
@description('Most instances of one group of functions; bursts may exceed it.')
param maximumInstanceCount int = 40

@minValue(1)
@maxValue(1000)
@description('HTTP requests for one instance before another is started; kept below MAX_CONCURRENT_INVOCATIONS.')
param httpPerInstanceConcurrency int = 200

@minValue(0)
@description('Instances that wait for HTTP requests at all times; each costs money at all times.')
param alwaysReadyHttp int = 0

@description('Whether instances and storage are spread over the zones of the region.')
param zoneRedundant bool = false

@description('Redundancy of the storage account, such as Standard_LRS or Standard_ZRS.')
param storageSku string = zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'

@description('Whether storage and vault are reached through a private network only.')
param vnetEnabled bool = false

@description('Addresses of that network, a range of at least /23 that no network beside it uses.')
param vnetAddressPrefix string = '10.0.0.0/16'

@description('With a private network: an address or range that reaches storage and vault all the same; empty: none.')
param operatorIpAddress string = ''

@description('Whether a deleted vault is kept from being purged; its name then stays taken for a week.')
param vaultPurgeProtection bool = false

@minValue(30)
@maxValue(730)
@description('Days that logs are kept.')
param logRetentionDays int = 30

@description('GB of logs a day after which no more are taken in; -1: without limit.')
param dailyLogCapGb int = 1

@description('Whether every read and write of the tables is logged, which multiplies the logs.')
param storageAuditEnabled bool = false

@description('Who is told of failures, an e-mail address; empty: no alerts.')
param alertEmail string = ''

@description('Client id of the Entra ID application that callers sign in to; empty: no sign-in, keys alone.')
param authClientId string = ''

@description('Tenant of that application; empty: the tenant of the subscription.')
param authTenantId string = ''

@description('Paths that need no sign-in: health, and what external services call with a token of their own. With and without the wildcard, for either reading of it.')
param excludedAuthPaths array = ['/api/health', '/azdo', '/azdo/*']

@description('The name given, or else the one derived.')
func nameOr(given string, derived string) string => empty(given) ? derived : given

var abbreviations = loadJsonContent('abbreviations.json')
var allTags = union(tags, { 'azd-env-name': environmentName })
var functionAppName = nameOr(names.?functionApp ?? '', '${abbreviations.webSitesFunctions}${resourceToken}')

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: nameOr(names.?identity ?? '', '${abbreviations.managedIdentityUserAssignedIdentities}${resourceToken}')
  location: location
  tags: allTags
}

module monitoring 'app/monitoring.bicep' = {
  name: 'monitoring'
  params: {
    applicationInsightsName: nameOr(names.?applicationInsights ?? '', '${abbreviations.insightsComponents}${resourceToken}')
    dailyLogCapGb: dailyLogCapGb
    location: location
    logRetentionDays: logRetentionDays
    tags: allTags
    workspaceName: nameOr(names.?workspace ?? '', '${abbreviations.operationalInsightsWorkspaces}${resourceToken}')
  }
}

module storage 'app/storage.bicep' = {
  name: 'storage'
  params: {
    auditEnabled: storageAuditEnabled
    isPrivate: vnetEnabled
    location: location
    name: nameOr(names.?storageAccount ?? '', '${abbreviations.storageStorageAccounts}${resourceToken}')
    operatorIpAddress: operatorIpAddress
    // Two apps may share an account: each has a container of its own.
    packageContainerName: 'package-${uniqueString(functionAppName)}'
    sku: storageSku
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module vault 'app/vault.bicep' = {
  name: 'vault'
  params: {
    isPrivate: vnetEnabled
    location: location
    name: nameOr(names.?keyVault ?? '', '${abbreviations.keyVaultVaults}${take(resourceToken, 13)}')
    operatorIpAddress: operatorIpAddress
    purgeProtection: vaultPurgeProtection
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
  }
}

module roles 'app/roles.bicep' = {
  name: 'roles'
  params: {
    applicationInsightsName: monitoring.outputs.applicationInsightsName
    deployerId: principalId
    deployerType: principalType
    identityId: identity.id
    identityPrincipalId: identity.properties.principalId
    storageAccountName: storage.outputs.name
    vaultName: vault.outputs.name
  }
}

module network 'app/network.bicep' = if (vnetEnabled) {
  name: 'network'
  params: {
    addressPrefix: vnetAddressPrefix
    endpointPrefix: '${abbreviations.networkPrivateEndpoints}${resourceToken}'
    location: location
    name: nameOr(names.?virtualNetwork ?? '', '${abbreviations.networkVirtualNetworks}${resourceToken}')
    storageAccountName: storage.outputs.name
    subnetPrefix: abbreviations.networkVirtualNetworksSubnets
    tags: allTags
    vaultName: vault.outputs.name
  }
}

module functionApp 'app/function.bicep' = {
  name: 'function'
  // The first start needs the roles, and so does the first package.
  dependsOn: [roles]
  params: {
    alwaysReadyHttp: alwaysReadyHttp
    appSettings: appSettings
    applicationInsightsName: monitoring.outputs.applicationInsightsName
    httpPerInstanceConcurrency: httpPerInstanceConcurrency
    identityClientId: identity.properties.clientId
    identityId: identity.id
    instanceMemoryMB: instanceMemoryMB
    keepPreviousStateKey: keepPreviousStateKey
    location: location
    maximumInstanceCount: maximumInstanceCount
    name: functionAppName
    packageContainerName: storage.outputs.packageContainerName
    planName: nameOr(names.?plan ?? '', '${abbreviations.webServerFarms}${resourceToken}')
    publicBaseUrl: publicBaseUrl
    pythonVersion: pythonVersion
    secretSettings: secretSettings
    serviceConnections: serviceConnections
    storageAccountName: storage.outputs.name
    subnetId: vnetEnabled ? network!.outputs.appSubnetId : ''
    tags: allTags
    vaultUri: vault.outputs.uri
    zoneRedundant: zoneRedundant
  }
}

module signIn 'app/sign-in.bicep' = if (!empty(authClientId)) {
  name: 'sign-in'
  params: {
    clientId: authClientId
    excludedPaths: excludedAuthPaths
    functionAppName: functionApp.outputs.name
    tenantId: empty(authTenantId) ? subscription().tenantId : authTenantId
  }
}

module alerts 'app/alerts.bicep' = if (!empty(alertEmail)) {
  name: 'alerts'
  params: {
    email: alertEmail
    functionAppName: functionApp.outputs.name
    groupName: '${abbreviations.insightsActionGroups}${resourceToken}'
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
  }
}

output AZURE_FUNCTION_NAME string = functionApp.outputs.name
output SERVICE_API_URI string = functionApp.outputs.uri
output SERVICE_API_IDENTITY_PRINCIPAL_ID string = identity.properties.principalId
output AZURE_KEY_VAULT_NAME string = vault.outputs.name
output AZURE_STORAGE_TABLE_ENDPOINT string = storage.outputs.tableEndpoint
