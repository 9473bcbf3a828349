-- The engine "wwebjs" is named "remote". Spaces of the vault and places of sealed secrets keep the former name: a sealed
-- value is bound to its space and key, so SQL cannot move it.
UPDATE devices
   SET settings = json_remove(json_set(settings, '$.remote', json_extract(settings, '$.wwebjs')), '$.wwebjs'),
       declared = replace(declared, '"settings.wwebjs"', '"settings.remote"')
 WHERE engine = 'wwebjs' AND json_type(settings, '$.wwebjs') IS NOT NULL;
UPDATE devices SET engine = 'remote' WHERE engine = 'wwebjs';
