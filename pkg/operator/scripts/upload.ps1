# Makes a Slipway bundle of a build of ESP-IDF, PlatformIO, Arduino or ESPHome and pushes it. Works with Windows PowerShell 5 and
# PowerShell 7. In a CI job:
#   Invoke-WebRequest @BASE_URL@/api/pipeline/upload.ps1 -UseBasicParsing -OutFile upload.ps1
#   .\upload.ps1 -Model MODEL_CODE [-Project FOLDER] [-Env NAME] [-Version VERSION] [-Url ADDRESS] [-Replace]
# FOLDER is the project's or the build's; NAME is one of several builds in it (PlatformIO's environment, Arduino's board, ESPHome's
# node). VERSION names an Arduino build, whose image has only the version of the core; without it git does, as for ESP-IDF. The
# environment's SLIPWAY_TOKEN is a token with the role pipeline for the model. A version that is there with other bytes is not
# replaced: raise it, or use -Replace and an operator's token, as a pipeline's does not replace.
# Where the gateway does not have the build in the end, it says why on a line of its own and throws: what calls it stops, and
# powershell -File upload.ps1 ends with 1. Where Windows runs no scripts: powershell -ExecutionPolicy Bypass -File upload.ps1 ...
# Windows Server 2016 fetches the script only after [Net.ServicePointManager]::SecurityProtocol = 'Tls12'.
@ABOUT_CA@
[CmdletBinding()]
param(
  [string]$Model = '',
  [string]$Project = '.',
  [string]$Env = '',
  [string]$Version = '',
  [string]$Url = '@BASE_URL@',
  [switch]$Replace
)
$ErrorActionPreference = 'Stop'
if ([Console]::IsOutputRedirected) { $ProgressPreference = 'SilentlyContinue' }
[Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12

# Stop-Push says why beside the error too: PowerShell breaks the lines of an error, so that nobody could search a log for it.
function Stop-Push([string]$Why) {
  [Console]::Error.WriteLine("upload: $Why")
  throw $Why
}
if (-not $Model) { Stop-Push 'name the model: upload.ps1 -Model MODEL_CODE' }
$token = "$env:SLIPWAY_TOKEN".Trim()
if (-not $token) { Stop-Push "set SLIPWAY_TOKEN to a token of the model: slipway token create --role pipeline --model $Model" }
if ($token -cmatch '[^A-Za-z0-9._~+/=-]') { Stop-Push 'SLIPWAY_TOKEN contains characters that are not valid in a token' }
if ($Version -cmatch '[^A-Za-z0-9._+~-]') { Stop-Push '-Version: want letters, digits and . _ + ~ -' }

# Read-Json is a JSON file's content, $null where there is none. Of what PowerShell does not take, as more than 2 MB or two names
# that differ in case (of components, in a project's description), it is the texts, by name.
function Read-Json([string]$File) {
  if (-not (Test-Path -LiteralPath $File -PathType Leaf)) { return $null }
  try {
    $json = Get-Content -Raw -Encoding UTF8 -LiteralPath $File
    return $json | ConvertFrom-Json
  } catch { }
  $texts = @{}
  foreach ($member in [regex]::Matches("$json", '"(\w+)"\s*:\s*"((?:[^"\\]|\\.)*)"')) {
    $key = $member.Groups[1].Value
    if (-not $texts.ContainsKey($key)) { $texts[$key] = $member.Groups[2].Value.Replace('\\', '/') }
  }
  return $texts
}
# Find-First is the first of the files that is there, $null where none is.
function Find-First([string[]]$Candidates) {
  foreach ($candidate in $Candidates) {
    if ($candidate -and (Test-Path -LiteralPath $candidate -PathType Leaf)) { return (Get-Item -LiteralPath $candidate -Force).FullName }
  }
  return $null
}
# Find-All are the files or folders of a folder that a pattern matches.
function Find-All([string]$Folder, [string]$Pattern, [switch]$Folders) {
  if (-not (Test-Path -LiteralPath $Folder -PathType Container)) { return @() }
  return @(Get-ChildItem -LiteralPath $Folder -Force | Where-Object { $_.Name -like $Pattern -and $_.PSIsContainer -eq [bool]$Folders } |
      Sort-Object -Property Name | ForEach-Object { $_.FullName })
}
function Test-Idf([string]$Folder) {
  return [bool](Find-First @((Join-Path $Folder 'project_description.json'), (Join-Path $Folder 'flasher_args.json')))
}
function Test-Known([string]$Folder) {
  return (Test-Idf $Folder) -or [bool](Find-First @((Join-Path $Folder 'firmware.bin'))) -or (@(Find-All $Folder '*.ino.bin').Count -gt 0)
}
# Find-Pairs are the paths, without an ending, of which a folder has .bin and .elf.
function Find-Pairs([string]$Folder) {
  $stems = @()
  foreach ($file in @(Find-All $Folder '*.elf')) {
    $stem = $file.Substring(0, $file.Length - 4)
    if ((Test-Path -LiteralPath "$stem.bin" -PathType Leaf) -and (Split-Path -Leaf $stem) -ne 'bootloader') { $stems += $stem }
  }
  return $stems
}

# The build's folder: the one that was named, its build/ of ESP-IDF, or the only one below it; with -Env the one of that name.
if (-not (Test-Path -LiteralPath $Project -PathType Container)) { Stop-Push "$Project is no folder" }
$top = (Get-Item -LiteralPath $Project -Force).FullName
$wanted = $Env.Replace(':', '.')
$places = New-Object System.Collections.ArrayList
function Add-Place([string]$Folder, [string]$Name, [bool]$Preferred) {
  if (-not (Test-Known $Folder) -and @(Find-Pairs $Folder).Count -eq 0) { return }
  foreach ($known in $places) { if ($known.Folder -eq $Folder) { return } }
  $options = Read-Json (Join-Path $Folder 'build.options.json')
  if ($options -and $options.fqbn) { $Name = ($options.fqbn.Split(':') | Select-Object -First 3) -join '.' }
  [void]$places.Add([pscustomobject]@{ Folder = $Folder; Name = $Name; Preferred = $Preferred })
}
Add-Place $top (Split-Path -Leaf $top) (Test-Known $top)
if (Test-Idf (Join-Path $top 'build')) { Add-Place (Join-Path $top 'build') 'build' $true }
$below = @(Find-All $top '*' -Folders)
$below += @(Find-All (Join-Path $top 'build') '*' -Folders)
$below += @(Find-All (Join-Path $top '.pio/build') '*' -Folders)
$nodes = @($top)
$nodes += @(Find-All (Join-Path $top '.esphome/build') '*' -Folders)
$nodes += @(Find-All (Join-Path $top 'build') '*' -Folders)
$nodes += @(Find-All $top '*' -Folders)
foreach ($node in $nodes) { $below += @(Find-All (Join-Path $node '.pioenvs') '*' -Folders) }
foreach ($folder in $below) { Add-Place $folder (Split-Path -Leaf $folder) $false }
# A sketch that was not exported lies in the cache of arduino-cli and the IDE.
if (@(Find-All $top '*.ino').Count -gt 0) {
  $caches = @(Find-All (Join-Path ([IO.Path]::GetTempPath()) 'arduino/sketches') '*' -Folders)
  $caches += @(Find-All ([IO.Path]::GetTempPath()) 'arduino_build_*' -Folders)
  if ($HOME) { $caches += @(Find-All (Join-Path $HOME '.cache/arduino/sketches') '*' -Folders) }
  if ($env:LOCALAPPDATA) { $caches += @(Find-All (Join-Path $env:LOCALAPPDATA 'arduino/sketches') '*' -Folders) }
  foreach ($cache in $env:ARDUINO_BUILD_CACHE_PATH, $env:ARDUINO_DIRECTORIES_BUILDCACHE) {
    if ($cache) { $caches += @(Find-All (Join-Path $cache 'sketches') '*' -Folders) }
  }
  foreach ($folder in $caches) {
    $options = Read-Json (Join-Path $folder 'build.options.json')
    if (-not $options -or -not $options.sketchLocation -or -not (Test-Path -LiteralPath $options.sketchLocation -PathType Container)) { continue }
    if ((Get-Item -LiteralPath $options.sketchLocation -Force).FullName.TrimEnd('\', '/') -eq $top.TrimEnd('\', '/')) {
      Add-Place $folder (Split-Path -Leaf $folder) $false
    }
  }
}
$names = ($places | ForEach-Object { $_.Name }) -join ', '
$place = $null
if ($wanted) {
  $place = $places | Where-Object { $_.Name -eq $wanted } | Select-Object -First 1
  $there = if ($names) { " (there are $names)" } else { '' }
  if (-not $place) { Stop-Push "$Project has no build `"$Env`"$there" }
} elseif ($places.Count -gt 0 -and $places[0].Preferred) {
  $place = $places[0]
} elseif ($places.Count -eq 0) {
  Stop-Push "$Project has no build: run idf.py build, pio run, esphome compile or arduino-cli compile --export-binaries first, or name the folder in which the .bin and the .elf lie"
} elseif ($places.Count -gt 1) {
  Stop-Push "$Project has several builds (there are $names): name one with -Env"
} else {
  $place = $places[0]
}
$build = $place.Folder

# Root is the project's folder.
$root = Split-Path -Parent $build
if (-not $root) { $root = $build }
$outer = Split-Path -Parent $root
if ((Split-Path -Leaf $root) -eq '.pioenvs') { $root = $outer }
elseif ((Split-Path -Leaf $root) -eq 'build' -and $outer -and (Split-Path -Leaf $outer) -eq '.pio') { $root = Split-Path -Parent $outer }
elseif ((Split-Path -Leaf $root) -eq 'build' -and $outer -and @(Find-All $outer '*.ino').Count -gt 0) { $root = $outer }
$options = Read-Json (Join-Path $build 'build.options.json')
if ($options -and $options.sketchLocation -and (Test-Path -LiteralPath $options.sketchLocation -PathType Container)) { $root = $options.sketchLocation }

# Image and ELF: those that its description names, or else the only pair of one name. A build may have been made elsewhere, as
# in a container. A bootloader, a partition table and what is flashed whole have no ELF of their name there.
$description = Read-Json (Join-Path $build 'project_description.json')
$flasher = Read-Json (Join-Path $build 'flasher_args.json')
function Find-Named([string]$File) {
  if (-not $File) { return $null }
  $candidates = @()
  if (-not [IO.Path]::IsPathRooted($File)) {
    $candidates += Join-Path $build $File
    if ($description -and $description.build_dir) { $candidates += "$($description.build_dir)/$File" }
  } else { $candidates += $File }
  $candidates += Join-Path $build (Split-Path -Leaf $File)
  return Find-First $candidates
}
$bin = ''
$elf = ''
$flashed = ''
if ($description) {
  $bin = if ($description.app_bin) { $description.app_bin } elseif ($description.project_name) { "$($description.project_name).bin" } else { '' }
  $elf = if ($description.app_elf) { $description.app_elf } elseif ($description.project_name) { "$($description.project_name).elf" } else { '' }
}
if ($flasher -and $flasher.app -and $flasher.app.file) { $flashed = $flasher.app.file }
$image = $null
$symbols = $null
foreach ($pair in @(@($bin, $elf), @($flashed, ($flashed -replace '\.bin$', '.elf')), @('firmware.bin', 'firmware.elf'))) {
  $image = Find-Named $pair[0]
  $symbols = Find-Named $pair[1]
  if ($image -and $symbols) { break }
  $image = $null
}
if (-not $image) {
  $stems = @(Find-Pairs $build)
  if ($stems.Count -gt 1) { Stop-Push "$build has several images with their ELF, such as $($stems[0]).bin and $($stems[1]).bin: leave one there" }
  if ($stems.Count -eq 0) {
    $alone = Find-First (@((Find-Named $bin), (Find-Named $flashed), (Join-Path $build 'firmware.bin')) + @(Find-All $build '*.ino.bin'))
    if (-not $alone) { Stop-Push "$build has no image with its ELF: build it first" }
    Stop-Push "$build has no ELF of $(Split-Path -Leaf $alone): without it no core dump of this build can be read: build it again and keep the .elf"
  }
  $image = "$($stems[0]).bin"
  $symbols = "$($stems[0]).elf"
}

# Said is the text in the image's descriptor at an offset.
$head = New-Object byte[] 288
$stream = [IO.File]::OpenRead($image)
try { $length = $stream.Read($head, 0, $head.Length) } finally { $stream.Dispose() }
if ($length -lt $head.Length) { Stop-Push "$image is too short for an image" }
function Get-Said([int]$Offset) { return [Text.Encoding]::ASCII.GetString($head, $Offset, 32).Split([char]0)[0] }
$chips = @{ 0 = 'esp32'; 2 = 'esp32s2'; 5 = 'esp32c3'; 9 = 'esp32s3'; 12 = 'esp32c2'; 13 = 'esp32c6'; 16 = 'esp32h2'; 18 = 'esp32p4'; 20 = 'esp32c61'; 23 = 'esp32c5'; 25 = 'esp32h21'; 28 = 'esp32h4'; 32 = 'esp32s31' }
$chip = $chips[[int]$head[12] + 256 * [int]$head[13]]
$arduino = (Get-Said 80) -eq 'arduino-lib-builder' -or (Get-Said 48).StartsWith('esp-idf: ')

# Map and sdkconfig: the build's, or for a sketch the installed core's. What was not kept is made.
$maps = @([IO.Path]::ChangeExtension($symbols, '.map'))
if ($description -and $description.project_name) { $maps += Join-Path $build "$($description.project_name).map" }
$maps += @([IO.Path]::ChangeExtension($image, '.map')) + @(Find-All $build '*.map')
$map = Find-First $maps
$configs = @()
if ($description -and $description.config_file) {
  $config = $description.config_file
  $configs += $config
  if ($description.project_path -and $config.StartsWith($description.project_path)) {
    $inside = $config.Substring($description.project_path.Length).TrimStart('/', '\')
    $configs += (Join-Path $top $inside), (Join-Path $root $inside)
  }
}
$configs += (Join-Path $root "sdkconfig.$($place.Name)"), (Join-Path $build 'sdkconfig'), (Join-Path $top 'sdkconfig'), (Join-Path $root 'sdkconfig')
$settings = Find-First $configs
if (-not $settings -and $arduino -and $chip) {
  $cores = @()
  foreach ($packages in @("$HOME/.arduino15/packages/esp32", "$env:LOCALAPPDATA/Arduino15/packages/esp32", "$HOME/Library/Arduino15/packages/esp32")) {
    $cores += @(Find-All "$packages/tools/esp32-arduino-libs" '*' -Folders | ForEach-Object { "$_/$chip/sdkconfig" })
    $cores += @(Find-All "$packages/tools/$chip-libs" '*' -Folders | ForEach-Object { "$_/sdkconfig" })
    $cores += @(Find-All "$packages/hardware/esp32" '*' -Folders | ForEach-Object { "$_/tools/sdk/$chip/sdkconfig" })
  }
  $platformio = if ($env:PLATFORMIO_CORE_DIR) { $env:PLATFORMIO_CORE_DIR } else { "$HOME/.platformio" }
  foreach ($core in @(Find-All "$platformio/packages" 'framework-arduinoespressif32*' -Folders)) {
    $cores += "$core/$chip/sdkconfig", "$core/tools/sdk/$chip/sdkconfig", "$core/tools/esp32-arduino-libs/$chip/sdkconfig"
  }
  $cores = @($cores | Where-Object { Test-Path -LiteralPath $_ -PathType Leaf })
  # Of several cores that differ nobody knows which it was.
  if ($cores.Count -gt 0 -and @($cores | ForEach-Object { (Get-FileHash -LiteralPath $_).Hash } | Select-Object -Unique).Count -eq 1) { $settings = $cores[0] }
}

# Ask-Git is what git says of the project, '' where it says nothing.
function Ask-Git([string[]]$Arguments) {
  $ErrorActionPreference = 'SilentlyContinue' # with 'Stop' a mere warning of git's ends this
  try {
    $said = & git -C $root @Arguments 2>$null
    if ($LASTEXITCODE -eq 0 -and $said) { return "$said".Trim() }
  } catch { }
  $global:LASTEXITCODE = 0 # the runner of a CI job ends a step with what is left here
  return ''
}
$name = if ($description -and $description.project_version) { $description.project_version } else { Get-Said 48 }
$idf = if ($description -and $description.git_revision) { $description.git_revision } else { Get-Said 144 }
if ($arduino) {
  $name = if ($Version) { $Version } else { Ask-Git @('describe', '--always', '--tags', '--dirty') }
  if (-not $name) { Stop-Push "the image is built with the Arduino core, which gives every sketch the version `"$(Get-Said 48)`": name this build with -Version, or keep the sketch in git" }
}
$commit = Ask-Git @('rev-parse', 'HEAD')
if (-not $commit) { $commit = 'unknown' }

$work = Join-Path ([IO.Path]::GetTempPath()) ([Guid]::NewGuid())
New-Item -ItemType Directory $work | Out-Null
try {
  Copy-Item -LiteralPath $image (Join-Path $work "$Model.bin")
  Copy-Item -LiteralPath $symbols (Join-Path $work "$Model.elf")
  if ($map) { Copy-Item -LiteralPath $map (Join-Path $work "$Model.map") }
  else { [IO.File]::WriteAllText((Join-Path $work "$Model.map"), "the build kept no map`n") }
  if ($settings) { Copy-Item -LiteralPath $settings (Join-Path $work 'sdkconfig') }
  else {
    $made = "# The build kept no sdkconfig: this is what its image says.`n"
    if ($chip) { $made += "CONFIG_IDF_TARGET=`"$chip`"`n" }
    [IO.File]::WriteAllText((Join-Path $work 'sdkconfig'), $made)
  }
  $versions = @{ git_commit = "$commit"; idf_version = "$idf"; firmware_version = "$name" } | ConvertTo-Json
  [IO.File]::WriteAllText((Join-Path $work 'version.json'), $versions)
  $zip = Join-Path $work 'bundle.zip'
  Add-Type -AssemblyName System.IO.Compression
  Add-Type -AssemblyName System.IO.Compression.FileSystem
  $archive = [IO.Compression.ZipFile]::Open($zip, 'Create')
  try {
    foreach ($file in "$Model.bin", "$Model.elf", "$Model.map", 'sdkconfig', 'version.json') {
      [IO.Compression.ZipFileExtensions]::CreateEntryFromFile($archive, (Join-Path $work $file), $file) | Out-Null
    }
  } finally { $archive.Dispose() }
  $address = "$Url/api/pipeline/models/$Model/firmware?replace=$("$([bool]$Replace)".ToLower())"
  if ($Version) { $address += "&version=$([Uri]::EscapeDataString($Version))" }
  $headers = @{ Authorization = "Bearer $token" }
  # Windows PowerShell sends a build once the gateway wants it. PowerShell 7 would send on, and lose the reason of a refusal.
  if ($PSVersionTable.PSVersion.Major -gt 5) { $headers.Expect = '100-continue' }
  try {
    $answer = Invoke-RestMethod -Method Post -Uri $address -InFile $zip -ContentType 'application/zip' -Headers $headers
  } catch {
    $cause = $_.Exception
    $status = if ($cause.Response) { [int]$cause.Response.StatusCode } else { 0 }
    $why = "$($_.ErrorDetails)"
    try {
      $said = $why | ConvertFrom-Json
      if ($said.error) { $why = $said.error }
    } catch { }
    if ($status) { Stop-Push "the gateway did not accept the bundle ($status): $why" }
    while ($cause.InnerException) { $cause = $cause.InnerException }
    $hint = if ($cause -is [Security.Authentication.AuthenticationException]) { '. The head of upload.ps1 says how its CA becomes known here' } else { '' }
    Stop-Push "$Url was not reached: nothing is pushed: $($cause.Message.TrimEnd('.'))$hint"
  }
  if ($answer.code -ne $Model -or -not $answer.firmware_version) { Stop-Push "$Url answers, but not as a Slipway gateway does: nothing is pushed" }
  foreach ($warning in $answer.warnings) { Write-Warning $warning }
  if (-not $answer.changed) { "$Model $($answer.firmware_version) is there already, nothing changed" }
  elseif ($answer.published) { "$Model $($answer.firmware_version) pushed, devices are offered it now" }
  else { "$Model $($answer.firmware_version) pushed; devices are offered it once it is published" }
} finally {
  Remove-Item -Recurse -Force -LiteralPath $work -ErrorAction SilentlyContinue # a scanner that holds a file fails no push
}
