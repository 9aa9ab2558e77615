-- 2p XAS of 3d^n in D4h (Lueder 2021, eqs. 1-3), many parameter sets in one process. Quanty reads
-- `job`, a table that xashpc writes before this text: n_d, atomic_i, atomic_f (eV), sets, emin, emax,
-- n_points (Quanty's grid), skip, stride, n_channels (the points that are wanted), gamma0,
-- threshold, step_at, polarisation. Each set becomes n_channels lines in spectra.dat.
Verbosity(0)
local NF = 16
local up_p, dn_p = {1, 3, 5}, {0, 2, 4}
local up_d, dn_d = {7, 9, 11, 13, 15}, {6, 8, 10, 12, 14}

local F0dd = NewOperator("U", NF, up_d, dn_d, {1, 0, 0})
local F2dd = NewOperator("U", NF, up_d, dn_d, {0, 1, 0})
local F4dd = NewOperator("U", NF, up_d, dn_d, {0, 0, 1})
local F0pd = NewOperator("U", NF, up_p, dn_p, up_d, dn_d, {1, 0}, {0, 0})
local F2pd = NewOperator("U", NF, up_p, dn_p, up_d, dn_d, {0, 1}, {0, 0})
local G1pd = NewOperator("U", NF, up_p, dn_p, up_d, dn_d, {0, 0}, {1, 0})
local G3pd = NewOperator("U", NF, up_p, dn_p, up_d, dn_d, {0, 0}, {0, 1})
local ldots_d = NewOperator("ldots", NF, up_d, dn_d)
local ldots_p = NewOperator("ldots", NF, up_p, dn_p)
local function field(levels)  -- a1g (z2), b1g (x2-y2), b2g (xy), eg (xz, yz)
  return NewOperator("CF", NF, up_d, dn_d, PotentialExpandedOnClm("D4h", 2, levels))
end
local Dq, Ds, Dt = field({6, 6, -4, -4}), field({-2, 2, 2, -1}), field({-6, -1, -1, 4})

local t = math.sqrt(1 / 2)
local Tx = NewOperator("CF", NF, up_d, dn_d, up_p, dn_p, {{1, -1, t}, {1, 1, -t}})
local Ty = NewOperator("CF", NF, up_d, dn_d, up_p, dn_p, {{1, -1, t * I}, {1, 1, t * I}})
local Tz = NewOperator("CF", NF, up_d, dn_d, up_p, dn_p, {{1, 0, 1}})
local operators = ({isotropic = {Tx, Ty, Tz}, z = {Tz}, xy = {Tx, Ty}})[job.polarisation]

local function shell_energy(a, s1, s2, core)
  local f2, f4 = s1 * a["F2(3d,3d)"], s1 * a["F4(3d,3d)"]
  -- The average energy of each configuration is taken out.
  local H = (2 / 63 * f2 + 2 / 63 * f4) * F0dd + f2 * F2dd + f4 * F4dd + a["zeta(3d)"] * ldots_d
  if core then
    local g1, g3 = s2 * a["G1(2p,3d)"], s2 * a["G3(2p,3d)"]
    H = H + (1 / 15 * g1 + 3 / 70 * g3) * F0pd + s1 * a["F2(2p,3d)"] * F2pd
        + g1 * G1pd + g3 * G3pd + a["zeta(2p)"] * ldots_p
  end
  return H
end

local restrictions = {NF, 0, {"111111 0000000000", 6, 6}, {"000000 1111111111", job.n_d, job.n_d}}
local dimension = 1  -- of d^n
for i = 1, job.n_d do dimension = dimension * (10 - i + 1) / i end
dimension = math.floor(dimension + 0.5)

-- Ever more eigenstates, until one is too hot to be populated.
local function thermal_states(H, kT)
  local n = 4
  while true do
    n = math.min(n, dimension)
    local psis = Eigensystem(H, restrictions, n)
    if type(psis) ~= "table" then psis = {psis} end
    local e0, Z, kept, weights = nil, 0, {}, {}
    for i, psi in ipairs(psis) do
      local e = Complex.Re(psi * H * psi)
      e0 = e0 or e
      local w = math.exp(-(e - e0) / kT)
      if w < job.threshold then break end
      kept[i], weights[i], Z = psi, w, Z + w
    end
    if #kept < n or n == dimension then
      for i = 1, #weights do weights[i] = weights[i] / Z end
      return kept, weights
    end
    n = n + 8
  end
end

local out = io.open("spectra.dat", "w")
for number, p in ipairs(job.sets) do
  local cf = p.Dq * Dq + p.Ds * Ds + p.Dt * Dt
  local Hi = Chop(shell_energy(job.atomic_i, p.S1, p.S2, false) + cf)
  local Hf = Chop(shell_energy(job.atomic_f, p.S1, p.S2, true) + cf)
  local psis, weights = thermal_states(Hi, p.T * EnergyUnits.Kelvin.value)
  local G = CreateSpectra(Hf, operators, psis, {{"Emin", job.emin}, {"Emax", job.emax},
    {"NE", job.n_points - 1}, {"Gamma", job.gamma0}})
  local factors = {}
  for _ = 1, #operators do
    for i = 1, #psis do factors[#factors + 1] = weights[i] / #operators end
  end
  local S = Spectra.Sum(G, factors)
  S.Broaden(p.sigma, {{job.step_at, p.Gamma1 - job.gamma0}, {job.step_at, p.Gamma2 - job.gamma0}})
  S.Print({{"file", "one.dat"}})
  out:write(string.format("# set %d\n", number))
  local index = 0
  for line in io.lines("one.dat") do
    if line:match("^%s*[-+]?[%d.]") then  -- not a header
      local from_first = index - job.skip
      if from_first >= 0 and from_first % job.stride == 0
          and from_first / job.stride < job.n_channels then
        out:write(line, "\n")
      end
      index = index + 1
    end
  end
  out:write(string.format("# end of set %d\n", number))
  out:flush()
end
out:write("# done\n")
out:close()
