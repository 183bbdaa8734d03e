metadata description = 'The storage account: package, invocations, alarms, and what the host itself keeps.'

param auditEnabled bool
param isPrivate bool
param location string
param name string
param operatorIpAddress string
param packageContainerName string
param sku string
param tags object
param workspaceId string

resource account 'Microsoft.Storage/storageAccounts@2025-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPrivate && empty(operatorIpAddress) ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'None'
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      ipRules: isPrivate && !empty(operatorIpAddress) ? [{ action: 'Allow', value: operatorIpAddress }] : []
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'

    resource package 'containers' = {
      name: packageContainerName
      properties: { publicAccess: 'None' }
    }
  }

  resource tables 'tableServices' = {
    name: 'default'

    resource invocations 'tables' = {
      name: 'invocations'
    }
  }

  resource queues 'queueServices' = {
    name: 'default'

    resource alarms 'queues' = {
      name: 'invoke-alarms'
    }

    // Alarms that failed again and again; the host would make it, the app reads it from the start.
    resource failedAlarms 'queues' = {
      name: 'invoke-alarms-poison'
    }
  }
}

resource tableLogs 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: account::tables
  name: 'to-workspace'
  properties: {
    workspaceId: workspaceId
    logs: [{ categoryGroup: 'audit', enabled: auditEnabled }]
    metrics: [{ category: 'Transaction', enabled: true }]
  }
}

output name string = account.name
output packageContainerName string = packageContainerName
output tableEndpoint string = account.properties.primaryEndpoints.table
